-- org_spend_threshold_critical: Organisation's Daily AI Spend Passes Ten Times the Usual
with events as (
  select timestamp, "cost_usd", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and ("cost_usd" is not null)
), groups as (
  select window_start, round(cast(sum(cast("cost_usd" as decimal(38, 15))) as double), 9) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by window_start
)
select g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'org_spend_threshold_critical' as rule, 'critical' as level
from groups g
where g.value > 500
