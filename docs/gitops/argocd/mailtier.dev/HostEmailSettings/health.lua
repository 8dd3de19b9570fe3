-- The health of Mailtier's objects, from their conditions, in whatever order these stand.
local result = {}
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  result.status = "Progressing"
  result.message = "The operator has not seen this generation yet."
  return result
end
local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local stalled, reconciling = conditions["Stalled"], conditions["Reconciling"]
local ready, verified = conditions["Ready"], conditions["Verified"]
if stalled ~= nil and stalled.status == "True" then
  result.status = "Degraded"
  result.message = stalled.reason .. ": " .. stalled.message
elseif reconciling ~= nil and reconciling.status == "True" then
  result.status = "Progressing"
  result.message = reconciling.reason .. ": " .. reconciling.message
elseif ready == nil or ready.status ~= "True" then
  result.status = "Progressing"
  result.message = ready == nil and "There is no condition Ready yet." or ready.reason .. ": " .. ready.message
else
  result.status = ready.reason == "Suspended" and "Suspended" or "Healthy"
  result.message = ready.message
  if verified ~= nil and verified.status == "False" then
    -- A dead mail server is news, and no reason to hold a rollout up.
    result.message = result.message .. " Not verified, " .. verified.reason .. ": " .. verified.message
  end
end
return result
