-- key_new_network: AI API Key Used From a Network It Never Used (high), version of 2026-11-24
-- needs: usage, key_source_nets
-- deviations: none
with events as (
  select timestamp, "key_id", "source_net", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and "source_net" is not null and ("key_id" is not null and "source_net" is not null)
), groups as (
  select "key_id", "source_net", window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", "source_net", window_start
)
select g."key_id", g."source_net", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'key_new_network' as rule, 'high' as level
from groups g
where g.value >= 1
  and not exists (select 1 from "key_source_nets" m where m."key_id" = g."key_id" and m."source_net" = g."source_net")
  and exists (select 1 from "key_source_nets" m where m."key_id" = g."key_id")
