-- key_new_network: AI API Key Used From a Network It Never Used (high), version of 2026-11-24
-- needs: usage, key_source_nets
-- deviations: none
with events as (
  select timestamp, `key_id`, `kt_source_net` as `source_net`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from (select *, case when `source_ip` rlike '^(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])([.](25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}(?!(?s:.))' then concat(substring_index(`source_ip`, '.', 3), '.0/24') when `source_ip` rlike '^(([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?!(::)?([0-9a-f]+::?){7}[0-9a-f])([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?::([0-9a-f]{1,4}(:[0-9a-f]{1,4})*)?)(?!(?s:.))' then concat(regexp_replace(array_join(slice(split(trim(both ':' from replace(`source_ip`, '::', concat(':', repeat('0:', 8 - size(filter(split(`source_ip`, ':'), g -> g <> '')))))), ':'), 1, 3), ':'), '(^|:)0(:0)*$', ''), '::/48') end as `kt_source_net` from usage)
  where timestamp is not null and `key_id` is not null and `kt_source_net` is not null and (`key_id` is not null and `kt_source_net` is not null)
), groups as (
  select `key_id`, `source_net`, window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, `source_net`, window_start
)
select g.`key_id`, g.`source_net`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'key_new_network' as rule, 'high' as level
from groups g
where g.value >= 1
  and not exists (select 1 from `key_source_nets` m where m.`key_id` = g.`key_id` and m.`source_net` = g.`source_net`)
  and exists (select 1 from `key_source_nets` m where m.`key_id` = g.`key_id`)
