-- key_unknown_model: AI API Key Used With a Model Family It Never Used (high), version of 2026-11-24
-- needs: usage, key_model_families, keys
-- deviations: none
with events as (
  select timestamp, `key_id`, `kt_model_family` as `model_family`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from (select *, regexp_replace(`model`, '(-[0-9]{4}-[0-9]{2}-[0-9]{2}|-[0-9]{8}|@[0-9]{8}|-latest)(?!(?s:.))', '') as `kt_model_family` from usage)
  where timestamp is not null and `key_id` is not null and `kt_model_family` is not null and (`key_id` is not null and `model` is not null and not coalesce(lower(`model`) = '', false))
), groups as (
  select `key_id`, `model_family`, window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, `model_family`, window_start
)
select g.`key_id`, g.`model_family`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'key_unknown_model' as rule, 'high' as level
from groups g
where g.value >= 1
  and not exists (select 1 from `key_model_families` m where m.`key_id` = g.`key_id` and m.`model_family` = g.`model_family`)
  and exists (select 1 from `keys` m where m.`key_id` = g.`key_id`)
