-- kind_inner: A rule (high)
-- needs: usage
-- deviations: none
with events as (
  select timestamp, "key_id", "user_agent", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and "user_agent" is not null and (coalesce("status_code" = 401, false))
), groups as (
  select "key_id", "user_agent", window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", "user_agent", window_start
)
select g."key_id", g."user_agent", g.window_start, g.window_start + to_seconds(3600) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_inner' as rule, 'high' as level
from groups g
where g.value >= 5
