-- reference_volume_spike: AI API Key Requests Far Above Its Own Baseline (Reference) (high), version of 2026-11-24
-- needs: usage, key_requests_daily
-- deviations: none
with events as (
  select timestamp, "key_id", "request_count", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null)
), groups as (
  select "key_id", window_start, sum("request_count") as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, b0."mean" as "baseline_mean", b0."stddev" as "baseline_stddev", 'reference_volume_spike' as rule, 'high' as level
from groups g
left join "key_requests_daily" b0 on g."key_id" = b0."key_id"
where g.value > 0
  and (coalesce(cast(g.value as double) > (cast(b0."mean" as double) + (cast(3.0 as double) * cast(b0."stddev" as double))), false) and coalesce(cast(b0."stddev" as double) > cast(0.0 as double), false))
