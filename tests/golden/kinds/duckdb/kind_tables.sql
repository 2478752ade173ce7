-- kind_tables: A rule (high)
-- needs: usage, audit
-- deviations: none
with events as (
  select timestamp, "key_id", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and (coalesce("status_code" = 200, false))
  union all
  select timestamp, "target_key_id" as "key_id", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as window_start
  from audit
  where timestamp is not null and "target_key_id" is not null and (coalesce(lower("action") = 'limit_raised', false))
), groups as (
  select "key_id", window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(3600) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_tables' as rule, 'high' as level
from groups g
where g.value >= 5
