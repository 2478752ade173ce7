-- reference_unknown_source_ip: AI API Key Used From an Address It Never Used (Reference) (high), version of 2026-11-24
-- needs: usage, key_source_ips
-- deviations: none
with events as (
  select timestamp, `key_id`, `source_ip`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from usage
  where timestamp is not null and `key_id` is not null and `source_ip` is not null and (`key_id` is not null and not coalesce(lower(`source_ip`) = '', false))
), groups as (
  select `key_id`, `source_ip`, window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, `source_ip`, window_start
)
select g.`key_id`, g.`source_ip`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'reference_unknown_source_ip' as rule, 'high' as level
from groups g
where g.value >= 1
  and not exists (select 1 from `key_source_ips` m where m.`key_id` = g.`key_id` and m.`source_ip` = g.`source_ip`)
  and exists (select 1 from `key_source_ips` m where m.`key_id` = g.`key_id`)
