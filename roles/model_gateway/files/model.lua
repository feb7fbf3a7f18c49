-- Reads the model that a request names, as the server behind will read it: of the top level alone, escapes decoded.
local find, sub, byte = string.find, string.sub, string.byte
local plain = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- Position after the string that begins at the quote, and whether it has escapes.
local function string_end(body, at)
    local escaped, here = false, at + 1
    while true do
        here = find(body, '["\\]', here)
        if not here then return nil end
        if byte(body, here) == 34 then return here + 1, escaped end
        escaped, here = true, here + 2
    end
end

local function decoded(text)
    local broken = false
    local function unit(digits) return tonumber(digits, 16) end
    text = text:gsub("\\u([dD][89abAB]%x%x)\\u([dD][c-fC-F]%x%x)", function(high, low)
        return utf8.char(0x10000 + ((unit(high) - 0xD800) << 10) + (unit(low) - 0xDC00))
    end)
    text = text:gsub("\\(.)(%x?%x?%x?%x?)", function(kind, digits)
        if kind ~= "u" then
            if not plain[kind] then broken = true end
            return (plain[kind] or "") .. digits
        end
        if #digits < 4 then broken = true return "" end
        return utf8.char(unit(digits))
    end)
    return not broken and text or nil
end

-- Position after the value that begins here; brackets are counted, and what is between them is left to the server.
local function value_end(body, at)
    local first = sub(body, at, at)
    if first == '"' then return (string_end(body, at)) end
    if first ~= "{" and first ~= "[" then
        local _, last = find(body, "^[%w.+-]+", at)
        return last and last + 1
    end
    local depth, here = 1, at + 1
    while depth > 0 do
        here = find(body, '["{}%[%]]', here)
        if not here then return nil end
        local what = byte(body, here)
        if what == 34 then
            here = string_end(body, here)
            if not here then return nil end
        else
            depth = depth + ((what == 123 or what == 91) and 1 or -1)
            here = here + 1
        end
    end
    return here
end

local function after_blanks(body, at) return find(body, "[^ \t\r\n]", at) or #body + 1 end

-- The model, or nil and a word for what is wrong.
local function model_of(body)
    local at, model, seen = after_blanks(body, 1), nil, 0
    if sub(body, at, at) ~= "{" then return nil, "not_json" end
    at = after_blanks(body, at + 1)
    while sub(body, at, at) ~= "}" do
        if sub(body, at, at) ~= '"' then return nil, "not_json" end
        local after, escaped = string_end(body, at)
        if not after then return nil, "not_json" end
        local key = sub(body, at + 1, after - 2)
        if escaped then key = decoded(key) or "" end
        at = after_blanks(body, after)
        if sub(body, at, at) ~= ":" then return nil, "not_json" end
        at = after_blanks(body, at + 1)
        after = value_end(body, at)
        if not after then return nil, "not_json" end
        if key:lower() == "model" then
            seen = seen + 1
            if key == "model" and sub(body, at, at) == '"' then model = decoded(sub(body, at + 1, after - 2)) end
        end
        at = after_blanks(body, after)
        local separator = sub(body, at, at)
        if separator == "," then
            at = after_blanks(body, at + 1)
            if sub(body, at, at) ~= '"' then return nil, "not_json" end
        elseif separator ~= "}" then
            return nil, "not_json"
        end
    end
    if after_blanks(body, at + 1) <= #body then return nil, "not_json" end
    if seen > 1 then return nil, "twice" end
    if not model then return nil, "none" end
    return model
end

core.register_action("read_model", { "http-req" }, function(txn)
    local model, problem = model_of(txn.f:req_body() or "")
    if model then txn:set_var("txn.model", model) else txn:set_var("txn.problem", problem) end
end, 0)
