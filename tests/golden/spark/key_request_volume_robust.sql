-- key_request_volume_robust: AI API Key Makes Far More Requests Than Its Own Past Explains (high), version of 2026-11-24
-- needs: usage, key_requests_daily
-- deviations: none
with events as (
  select timestamp, `key_id`, `request_count`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from usage
  where timestamp is not null and `key_id` is not null and (`key_id` is not null)
), groups as (
  select `key_id`, window_start, sum(cast(`request_count` as decimal(20, 0))) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, window_start
)
select g.`key_id`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, b0.`median` as `baseline_median`, b0.`mad` as `baseline_mad`, b0.`max` as `baseline_max`, b0.`days` as `baseline_days`, 'key_request_volume_robust' as rule, 'high' as level
from groups g
left join `key_requests_daily` b0 on g.`key_id` = b0.`key_id`
where g.value > 40
  and (coalesce(cast(g.value as double) > ((case when (cast(b0.`median` as double) + (6.0D * (case when cast(b0.`mad` as double) is null or (0.1D * cast(b0.`median` as double)) is null then null else greatest(cast(b0.`mad` as double), (0.1D * cast(b0.`median` as double))) end))) is null or (1.25D * cast(b0.`max` as double)) is null then null else greatest((cast(b0.`median` as double) + (6.0D * (case when cast(b0.`mad` as double) is null or (0.1D * cast(b0.`median` as double)) is null then null else greatest(cast(b0.`mad` as double), (0.1D * cast(b0.`median` as double))) end))), (1.25D * cast(b0.`max` as double))) end) + 15.0D), false) and coalesce(cast(b0.`days` as double) >= 7.0D, false))
