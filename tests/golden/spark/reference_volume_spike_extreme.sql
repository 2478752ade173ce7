-- reference_volume_spike_extreme: AI API Key Requests Ten Times Its Own Baseline (Reference) (critical), version of 2026-11-24
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
select g.`key_id`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, b0.`mean` as `baseline_mean`, b0.`stddev` as `baseline_stddev`, 'reference_volume_spike_extreme' as rule, 'critical' as level
from groups g
left join `key_requests_daily` b0 on g.`key_id` = b0.`key_id`
where g.value > 0
  and (coalesce(cast(g.value as double) > (case when (cast(b0.`mean` as double) + (3.0D * cast(b0.`stddev` as double))) is null or (10.0D * cast(b0.`mean` as double)) is null then null else greatest((cast(b0.`mean` as double) + (3.0D * cast(b0.`stddev` as double))), (10.0D * cast(b0.`mean` as double))) end), false) and coalesce(cast(b0.`stddev` as double) > 0.0D, false))
