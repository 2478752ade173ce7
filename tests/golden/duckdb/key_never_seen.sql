-- key_never_seen: AI API Key Without Any Past Is Used (medium), version of 2026-11-24
-- needs: usage, keys
-- deviations: none
with events as (
  select timestamp, "key_id", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null and not coalesce(lower("key_id") = '', false) and not coalesce("status_code" = 401, false))
), groups as (
  select "key_id", window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'key_never_seen' as rule, 'medium' as level
from groups g
where g.value >= 1
  and not exists (select 1 from "keys" m where m."key_id" = g."key_id")
