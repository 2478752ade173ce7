-- reference_cost_spike: AI API Key Cost Five Times Its Own Baseline (Reference)
with events as (
  select timestamp, "key_id", "cost_usd", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null)
), groups as (
  select "key_id", window_start, round(cast(sum(cast("cost_usd" as decimal(38, 15))) as double), 9) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, b0."mean" as "baseline_mean", 'reference_cost_spike' as rule, 'critical' as level
from groups g
left join "key_cost_daily" b0 on g."key_id" = b0."key_id"
where g.value > 10
  and (coalesce(cast(g.value as double) > (cast(5.0 as double) * cast(b0."mean" as double)), false))
