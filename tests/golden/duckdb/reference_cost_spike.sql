-- reference_cost_spike: AI API Key Cost Five Times Its Own Baseline (Reference) (critical), version of 2026-11-24
-- needs: usage, key_cost_daily
-- deviations: none
with events as (
  select timestamp, "key_id", "cost_usd", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null)
), groups as (
  select "key_id", window_start, round(case when list("cost_usd" * 2.3283064365386963e-10) filter (abs("cost_usd") >= 1e15) is null then cast(sum(try_cast("cost_usd" as decimal(30, 15))) as double) else greatest(least(list_aggregate(list_sort(list_append(list("cost_usd" * 2.3283064365386963e-10) filter (abs("cost_usd") >= 1e15), coalesce(cast(sum(try_cast("cost_usd" as decimal(30, 15))) as double), 0) * 2.3283064365386963e-10)), 'fsum') * 4294967296.0, 1.7976931348623157e308), -1.7976931348623157e308) end, 9) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, b0."mean" as "baseline_mean", 'reference_cost_spike' as rule, 'critical' as level
from groups g
left join "key_cost_daily" b0 on g."key_id" = b0."key_id"
where g.value > 10
  and (coalesce(cast(g.value as double) > (cast(5.0 as double) * cast(b0."mean" as double)), false))
