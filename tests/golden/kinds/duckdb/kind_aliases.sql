-- kind_aliases: A rule (high)
-- needs: audit
-- deviations: none
with events as (
  select timestamp, "target_key_id" as "key_id", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as window_start
  from audit
  where timestamp is not null and "target_key_id" is not null and (coalesce(lower("action") = 'limit_raised', false))
  union all
  select timestamp, "actor_key_id" as "key_id", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as window_start
  from audit
  where timestamp is not null and "actor_key_id" is not null and (coalesce(lower("actor") like '%admin%' escape '!', false)) and not ((coalesce(lower("action") = 'limit_raised', false)) and coalesce("actor_key_id" = "target_key_id", false))
), groups as (
  select "key_id", window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(3600) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_aliases' as rule, 'high' as level
from groups g
where g.value >= 5
