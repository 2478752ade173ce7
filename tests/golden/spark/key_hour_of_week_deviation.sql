-- key_hour_of_week_deviation: AI API Key Used in Hours of the Week in Which It Is Always Silent (medium), version of 2026-11-24
-- needs: usage, key_hours_of_week, key_requests_daily
-- deviations: none
with events as (
  select timestamp, `key_id`, `request_count`, `kt_hour_of_week` as `hour_of_week`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from (select *, (unix_micros(timestamp) div 3600000000 + 72) % 168 as `kt_hour_of_week` from usage)
  where timestamp is not null and `key_id` is not null and (`key_id` is not null and not coalesce(`bucket_seconds` > 3600, false))
), groups as (
  select e.`key_id`, e.window_start, sum(cast(`request_count` as decimal(20, 0))) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen, count(*) filter (where e.`key_id` is not null and e.`hour_of_week` is not null and t.kt_found is null) / count(*) as share
  from events e left join (select `key_id` as `kt_key_id`, `hour_of_week` as `kt_hour_of_week`, true as kt_found from `key_hours_of_week`) t on e.`key_id` = t.`kt_key_id` and e.`hour_of_week` = t.`kt_hour_of_week`
  group by e.`key_id`, window_start
)
select g.`key_id`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.share, g.events, g.first_seen, g.last_seen, b1.`days` as `baseline_key_requests_daily_days`, b1.`mean` as `baseline_key_requests_daily_mean`, b1.`mad` as `baseline_key_requests_daily_mad`, b1.`median` as `baseline_key_requests_daily_median`, 'key_hour_of_week_deviation' as rule, 'medium' as level
from groups g
left join `key_requests_daily` b1 on g.`key_id` = b1.`key_id`
where g.value >= 30
  and g.share > 0.4D
  and exists (select 1 from `key_hours_of_week` m where m.`key_id` = g.`key_id`)
  and (b1.`key_id` is not null and coalesce(cast(g.value as double) > 0.0D, false) and (coalesce(cast(b1.`days` as double) >= 14.0D, false) and coalesce((cast(b1.`mean` as double) * cast(b1.`days` as double)) >= 250.0D, false) and coalesce(cast(b1.`mad` as double) <= (1.0D + (0.25D * cast(b1.`median` as double))), false)))
