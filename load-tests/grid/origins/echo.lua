-- apache2 with mod_lua: answers, and leaves for the log what apache made of the request. mod_lua cannot walk through the
-- headers; mod_log_forensic writes them.
require 'apache2'

function answer(r)
    local body = r:requestbody() or ''
    -- mod_lua reads bodies of POST and PUT only; of others, this is what apache throws away.
    local length = #body > 0 and #body or r.headers_in['Content-Length'] or '0'
    local parts = {r.method, r.unparsed_uri, r.uri, tostring(length), body}
    for at, part in ipairs(parts) do
        parts[at] = r:base64_encode(part)
    end
    r.notes['echo'] = table.concat(parts, ' ')
    r:puts('ok')
    return apache2.OK
end
