-- Reads the tokens that a stream of events says it has used, for the access log. Text that a model makes cannot be taken for them:
-- its quotes are escaped.
local find, match, sub = string.find, string.match, string.sub
-- What may be of a number whose rest comes with the next part.
local KEPT = 256

local tokens = { id = "tokens", flags = filter.FLT_CFG_FL_HTX }
tokens.__index = tokens

function tokens:new()
    return setmetatable({ tail = "" }, self)
end

-- An error would cut the answer, which is worth more than its row in a log.
local function harmless(what)
    return function(...) pcall(what, ...) end
end

tokens.http_headers = harmless(function(self, txn, message)
    if not message.channel:is_resp() then return end
    local kind = message:get_headers()["content-type"]
    if kind and find(kind[0], "^text/event%-stream") then
        filter.register_data_filter(self, message.channel)
    end
end)

tokens.http_payload = harmless(function(self, txn, message)
    local part = self.tail .. (message:body() or "")
    self.tail = sub(part, -KEPT)
    if find(part, '_tokens"', 1, true) then
        for _, name in ipairs({ "prompt_tokens", "completion_tokens" }) do
            local number = match(part, '.*"' .. name .. '"%s*:%s*(%d+)%D')
            if number then txn:set_var("txn." .. name, tonumber(number)) end
        end
    end
end)

core.register_filter("tokens", tokens, function(class, arguments) return class end)
