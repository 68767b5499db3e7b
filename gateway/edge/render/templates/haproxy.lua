-- Written by `cps-gateway render haproxy`: asks the gateway about a request, before HAProxy passes it
-- on. Whatever goes wrong here leaves txn.cps_let_in unset, and then the request is refused.

local told = {
<<told>>
}

-- For one connection, or of the body, which stays here.
local left_out = {
  ["connection"] = true,
  ["content-length"] = true,
  ["expect"] = true,
  ["keep-alive"] = true,
  ["te"] = true,
  ["trailer"] = true,
  ["transfer-encoding"] = true,
  ["upgrade"] = true,
}

-- HAProxy counts the values of a header from nought.
local function the_one(headers, name)
  local values = headers[name]
  if values and values[0] and not values[1] then
    return values[0]
  end
  return nil
end

local function question_of(txn)
  local question = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not left_out[name] then
      question[name] = {}
      for place = 0, #values do
        table.insert(question[name], values[place])
      end
    end
  end
  question["x-forwarded-method"] = { txn.sf:method() }
  question["x-forwarded-uri"] = { txn.sf:url() }
  return question
end

local function refuse(txn, status, answer)
  local reply = txn:reply()
  reply:set_status(status)
  if answer then
    for name, values in pairs(answer.headers or {}) do
      if not left_out[name] then
        for place = 0, #values do
          reply:add_header(name, values[place])
        end
      end
    end
    reply:set_body(answer.body or "")
  end
  txn:done(reply)
end

core.register_action("cps_ask", { "http-req" }, function(txn)
  local answer = core.httpclient():get({
    url = "http://cps-gateway<<forward_auth_path>>",
    dst = "unix@<<relay_socket>>",
    headers = question_of(txn),
    -- HAProxy asks up to four times.
    timeout = 1500,
  })
  if not answer or not answer.status or answer.status == 0 then
    refuse(txn, 503)
    return
  end
  local headers = answer.headers or {}
  if answer.status == 200 and the_one(headers, "<<let_in_name>>") == "<<let_in>>" then
    for _, name in ipairs(told) do
      txn.http:req_del_header(name)
      local value = the_one(headers, name)
      if value then
        txn.http:req_set_header(name, value)
      end
    end
    txn:set_var("txn.cps_let_in", true)
  elseif answer.status >= 300 then
    refuse(txn, answer.status, answer)
  else
    refuse(txn, 503)
  end
end)
