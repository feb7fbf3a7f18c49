-- What comes before this is data: SINKS by the names that tags begin with, REDACTIONS, FIELDS of events and their UNIT.
-- Fluent Bit keeps a record as it was when this fails, so nothing here may fail: it drops a record that it cannot read.

local SEVERITIES = {[0] = "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
-- Of OTLP.
local NUMBERS = {[0] = 24, 22, 21, 17, 13, 10, 9, 5}

local function host_name()
  local file = io.open("/proc/sys/kernel/hostname")
  local name = file and file:read("*l")
  if file then
    file:close()
  end
  return name or "localhost"
end

local HOST = host_name()

-- A field that an entry has several times is a list.
local function field(entry, name)
  local value = entry[name]
  if type(value) == "table" then
    value = value[1]
  end
  if value == nil or value == "" then
    return nil
  end
  return tostring(value)
end

-- What is no UTF-8 is marked as such: patterns are about letters.
local function letters(text)
  if not text:find("[\128-\255]") then
    return text
  end
  return (text:gsub("[\128-\255]+", function(bytes)
    local parts, i = {}, 1
    while i <= #bytes do
      local lead = bytes:byte(i)
      local more = (lead >= 194 and lead <= 223 and 1)
        or (lead >= 224 and lead <= 239 and 2)
        or (lead >= 240 and lead <= 244 and 3)
      local letter = more and bytes:match("^[\128-\191]" .. string.rep("[\128-\191]", more - 1), i + 1)
      if letter then
        parts[#parts + 1], i = bytes:sub(i, i + more), i + more + 1
      else
        parts[#parts + 1], i = "\239\191\189", i + 1
      end
    end
    return table.concat(parts)
  end))
end

-- Redaction. A pattern is a program for a machine that reads each byte once, however the pattern is made.

-- Patterns come as ranges of bytes.
local function bytes(ranges)
  local set = {}
  for k = 1, #ranges, 2 do
    for byte = ranges[k], ranges[k + 1] do
      set[byte] = true
    end
  end
  return set
end

-- The steps that read a byte, or end, that a step leads to without reading: their numbers, in the order in which they
-- are tried, each followed by whether the secret opens and closes on the way.
local function reached(program, at, begins)
  local found, seen = {}, {}
  local function follow(place, opens, closes)
    if seen[place] then
      return
    end
    seen[place] = true
    local step = program[place]
    local kind = step[1]
    if kind == "split" then
      follow(step[2], opens, closes)
      follow(step[3], opens, closes)
    elseif kind == "jump" then
      follow(step[2], opens, closes)
    elseif kind == "open" then
      follow(place + 1, true, closes)
    elseif kind == "close" then
      follow(place + 1, opens, true)
    elseif kind == "begins" then
      if begins then
        follow(place + 1, opens, closes)
      end
    else
      found[#found + 1], found[#found + 2], found[#found + 3] = place, opens, closes
    end
  end
  follow(at, false, false)
  return found
end

for _, redaction in ipairs(REDACTIONS) do
  local program = redaction.program
  redaction.first = bytes(redaction.first)
  redaction.sets, redaction.after = {}, {}
  for place, step in ipairs(program) do
    redaction.sets[place] = step[1] == "byte" and bytes(step[2]) or false
    redaction.after[place] = step[1] == "byte" and reached(program, place + 1, false) or false
  end
  redaction.start, redaction.begin = reached(program, 1, false), reached(program, 1, true)
end

-- Where each of the ways is, and where the secret opened and closed on it: those of now, and those after this byte.
local places, opens, closes = {}, {}, {}
local next_places, next_opens, next_closes = {}, {}, {}
-- When a step was last reached: a way that comes to it later is not better.
local stamps, clock = {}, 0

local END = 256

local function search(redaction, text, from)
  local sets, after, can_begin = redaction.sets, redaction.after, redaction.first
  local size, count, i = #text, 0, from
  local found_open, found_close, found_stop
  clock = clock + 1
  -- After the last byte comes END, once.
  while i <= size + 2 do
    if count == 0 then
      if found_stop then
        break
      end
      while i <= size and not can_begin[text:byte(i)] do
        i = i + 1
      end
      if i > size then
        return nil
      end
    end
    local byte = text:byte(i)
    if i == size + 1 then
      byte = END
    end
    if not found_stop and byte and can_begin[byte] then
      local entries = i == 1 and redaction.begin or redaction.start
      for k = 1, #entries, 3 do
        local place = entries[k]
        if stamps[place] ~= clock then
          stamps[place] = clock
          count = count + 1
          places[count], opens[count], closes[count] = place, entries[k + 1] and i, entries[k + 2] and i
        end
      end
    end
    local next_count = 0
    clock = clock + 1
    for k = 1, count do
      local set = sets[places[k]]
      if not set then
        found_open, found_close, found_stop = opens[k], closes[k], i
        break
      elseif byte and set[byte] then
        local entries, open, close = after[places[k]], opens[k], closes[k]
        for e = 1, #entries, 3 do
          local place = entries[e]
          if stamps[place] ~= clock then
            stamps[place] = clock
            next_count = next_count + 1
            next_places[next_count] = place
            next_opens[next_count] = entries[e + 1] and i + 1 or open
            next_closes[next_count] = entries[e + 2] and i + 1 or close
          end
        end
      end
    end
    places, next_places = next_places, places
    opens, next_opens = next_opens, opens
    closes, next_closes = next_closes, closes
    count, i = next_count, i + 1
  end
  return found_open, found_close, found_stop
end

-- Without hints it may be anywhere.
local function may_be_in(redaction, lowered)
  if #redaction.hints == 0 then
    return true
  end
  for _, hint in ipairs(redaction.hints) do
    if lowered:find(hint, 1, true) then
      return true
    end
  end
  return false
end

local function redact(text)
  local lowered = text:lower()
  for _, redaction in ipairs(REDACTIONS) do
    local parts, from = {}, 1
    local open, close, stop
    if may_be_in(redaction, lowered) then
      open, close, stop = search(redaction, text, from)
    end
    while open do
      parts[#parts + 1] = text:sub(from, open - 1)
      parts[#parts + 1] = REDACTED
      -- What follows the secret is not part of what is searched next.
      parts[#parts + 1] = text:sub(close, stop - 1)
      from = stop
      open, close, stop = search(redaction, text, from)
    end
    if from > 1 then
      parts[#parts + 1] = text:sub(from)
      text = table.concat(parts)
    end
  end
  return text
end

-- JSON. What is not valid is no object: its text stays the message.

local ESCAPES = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}
local MOST_DEEP = 32
local value_at

local function utf8(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xC0 + math.floor(code / 0x40), 0x80 + code % 0x40)
  elseif code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 0x1000), 0x80 + math.floor(code / 0x40) % 0x40, 0x80 + code % 0x40)
  end
  return string.char(
    0xF0 + math.floor(code / 0x40000),
    0x80 + math.floor(code / 0x1000) % 0x40,
    0x80 + math.floor(code / 0x40) % 0x40,
    0x80 + code % 0x40
  )
end

local function string_at(text, i)
  local parts = {}
  i = i + 1
  while true do
    local plain, stop = text:match('^([^"\\%c]*)()', i)
    parts[#parts + 1] = plain
    local mark = text:sub(stop, stop)
    if mark == '"' then
      return table.concat(parts), stop + 1
    elseif mark ~= "\\" then
      return nil
    end
    local letter = text:sub(stop + 1, stop + 1)
    if letter == "u" then
      local code = tonumber(text:match("^%x%x%x%x", stop + 2) or "", 16)
      if not code then
        return nil
      end
      i = stop + 6
      local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", i) or "", 16)
      if code >= 0xD800 and code < 0xDC00 and low then
        code, i = 0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00, i + 6
      elseif code >= 0xD800 and code < 0xE000 then
        code = 0xFFFD
      end
      parts[#parts + 1] = utf8(code)
    elseif ESCAPES[letter] then
      parts[#parts + 1] = ESCAPES[letter]
      i = stop + 2
    else
      return nil
    end
  end
end

local function list_at(text, i, deep)
  local list = {}
  i = text:match("^%s*()", i + 1)
  if text:sub(i, i) == "]" then
    return nil, i + 1, true
  end
  while true do
    local value, stop, valid = value_at(text, i, deep)
    if not valid then
      return nil
    end
    -- A list with holes would be none.
    list[#list + 1] = value
    local mark, after = text:match("^%s*([,%]])%s*()", stop)
    if not mark then
      return nil
    elseif mark == "]" then
      if #list == 0 then
        list = nil
      end
      return list, after, true
    end
    i = after
  end
end

local function object_at(text, i, deep)
  local object, any = {}, false
  i = text:match("^%s*()", i + 1)
  if text:sub(i, i) == "}" then
    return nil, i + 1, true
  end
  while true do
    if text:sub(i, i) ~= '"' then
      return nil
    end
    local name, stop = string_at(text, i)
    local begin = name and text:match("^%s*:%s*()", stop)
    if not begin then
      return nil
    end
    local value, after, valid = value_at(text, begin, deep)
    if not valid then
      return nil
    end
    -- An empty name is one that sinks refuse.
    if value ~= nil and name ~= "" then
      object[name], any = value, true
    end
    local mark, next_at = text:match("^%s*([,}])%s*()", after)
    if not mark then
      return nil
    elseif mark == "}" then
      if not any then
        object = nil
      end
      return object, next_at, true
    end
    i = next_at
  end
end

local WORDS = {["true"] = true, ["false"] = false}

-- Returns the value, what follows it, and whether there is one: null, {} and [] are values that are left out.
function value_at(text, i, deep)
  local mark = text:sub(i, i)
  if deep > MOST_DEEP then
    return nil
  elseif mark == '"' then
    local found, stop = string_at(text, i)
    return found, stop, found ~= nil
  elseif mark == "{" then
    return object_at(text, i, deep + 1)
  elseif mark == "[" then
    return list_at(text, i, deep + 1)
  end
  local word, stop = text:match("^(%l+)()", i)
  if word == "null" then
    return nil, stop, true
  elseif word and WORDS[word] ~= nil then
    return WORDS[word], stop, true
  end
  local number, after = text:match("^(%-?%d[%d.eE+-]*)()", i)
  local known = number and tonumber(number)
  if not known then
    return nil
  end
  -- A number that a double cannot hold stays as it is written.
  if math.abs(known) >= 2 ^ 53 then
    return number, after, true
  end
  return known, after, true
end

local function json_object(text)
  local begin = text:match("^%s*(){")
  if not begin then
    return nil
  end
  local object, stop, valid = value_at(text, begin, 0)
  if valid and text:match("^%s*$", stop) then
    return object
  end
  return nil
end

-- Lines.

local function from_journal(entry)
  local unit = field(entry, "_SYSTEMD_UNIT")
  -- What systemd itself says of a unit: started, failed, killed for want of memory.
  if field(entry, "_PID") == "1" and field(entry, "UNIT") then
    unit = field(entry, "UNIT")
  end
  return {
    unit = unit,
    transport = field(entry, "_TRANSPORT"),
    container = field(entry, "CONTAINER_NAME"),
    severity = tonumber(field(entry, "PRIORITY") or "") or 6,
    text = letters(field(entry, "MESSAGE") or ""),
    host = field(entry, "_HOSTNAME") or HOST,
    program = field(entry, "SYSLOG_IDENTIFIER") or field(entry, "_COMM"),
    pid = field(entry, "_PID") or field(entry, "SYSLOG_PID"),
    event = field(entry, "MLOPS_GPU_EVENT") == "1" and field(entry, "_SYSTEMD_UNIT") == EVENTS_UNIT,
    entry = entry,
  }
end

local function from_file(entry, name)
  return {file = name, severity = 6, text = letters(field(entry, "log") or ""), host = HOST, entry = entry}
end

local function any_matches(patterns, text)
  for _, pattern in ipairs(patterns) do
    if text:match(pattern) then
      return true
    end
  end
  return false
end

local function is_of(source, line)
  return source.file == line.file
    and line.severity <= source.severity
    and (not source.transport or source.transport == line.transport)
    and (not source.units or (line.unit ~= nil and any_matches(source.units, line.unit)))
    and (not source.containers or (line.container ~= nil and any_matches(source.containers, line.container)))
    and (not source.events or line.event)
end

local function any_in(texts, text)
  for _, part in ipairs(texts) do
    if text:find(part, 1, true) then
      return true
    end
  end
  return false
end

local function takes(way, line)
  return line.severity <= way.severity
    and (not way.contains or any_in(way.contains, line.text))
    and not (way.excludes and any_in(way.excludes, line.text))
end

local function flow_of(sink, line)
  for _, flow in ipairs(sink.flows) do
    if is_of(flow, line) then
      for _, way in ipairs(flow.ways) do
        if takes(way, line) then
          return flow
        end
      end
    end
  end
  return nil
end

local function event_fields(entry)
  local fields, any = {}, false
  for _, name in ipairs(FIELDS) do
    local value = field(entry, name)
    if value then
      fields[name:lower()], any = value, true
    end
  end
  return any and fields or nil
end

local function shipped(sink, flow, line, time)
  local fields = line.event and event_fields(line.entry) or nil
  local record = {
    host = line.host,
    source = flow.source,
    unit = line.unit,
    severity = SEVERITIES[line.severity] or "info",
    message = redact(line.text),
  }
  if sink.few then
    record.gpu_uuid = fields and fields.gpu_uuid
    for name, value in pairs(flow.labels or {}) do
      record["label_" .. name] = value
    end
    return record
  end
  record.labels = flow.labels
  record.container, record.program, record.pid = line.container, line.program, line.pid
  record.fields = fields or (flow.json and json_object(record.message)) or nil
  if sink.time then
    record["@timestamp"] = os.date("!%Y-%m-%dT%H:%M:%S", time.sec) .. string.format(".%06dZ", time.nsec / 1000)
  end
  if sink.numbers then
    record.severity_number = NUMBERS[line.severity]
  end
  return record
end

local function shape(tag, time, entry)
  local name, rest = tag:match("^([^.]+)[.](.+)$")
  local sink = SINKS[name]
  local file = rest:match("^file[.](.+)$")
  local line = file and from_file(entry, file) or from_journal(entry)
  local flow = flow_of(sink, line)
  return flow and shipped(sink, flow, line, time)
end

function ship(tag, time, entry)
  local fine, record = pcall(shape, tag, time, entry)
  if not fine then
    io.stderr:write("mlops: a line is dropped: ", tostring(record), "\n")
  end
  if fine and record then
    return 2, time, record
  end
  return -1, time, entry
end
