local SINKS = {
  ["central"] = {
    ["few"] = false,
    ["numbers"] = false,
    ["time"] = false,
    ["flows"] = {
      {
        ["source"] = "containers",
        ["severity"] = 7,
        ["containers"] = {"^vllm%-.*$", "^tei$"},
        ["ways"] = {{["severity"] = 7}},
      },
    },
  },
}
local REDACTED = "[redacted]"
local REDACTIONS = {}
local FIELDS = {
  "MLOPS_GPU_EVENT_ID",
  "SOURCE",
  "XID",
  "SXID",
  "MNEMONIC",
  "KIND",
  "SEVERITY",
  "ACTION",
  "HARDWARE_FAULT",
  "GPU_UUID",
  "PCI_ADDRESS",
  "EVENT_PID",
  "EVENT_PROCESS",
  "COUNT",
  "FIRST_USEC",
  "LAST_USEC",
}
local EVENTS_UNIT = "mlops-gpu-events.service"
