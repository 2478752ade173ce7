-- org_spend_threshold_low: Organisation's Daily AI Spend Passes 1.5 Times the Usual (low), version of 2026-11-24
-- needs: usage
-- deviations: none
with events as (
  select timestamp, `cost_usd`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from usage
  where timestamp is not null and (`cost_usd` is not null)
), groups as (
  select window_start, case when max(abs(`cost_usd`)) >= 1.0E15D then round(greatest(least(aggregate(sort_array(concat(collect_list(`cost_usd` * 2.3283064365386963E-10D) filter (where abs(`cost_usd`) >= 1.0E15D), array(coalesce(cast(sum(try_cast(`cost_usd` as decimal(30, 15))) as double), 0.0D) * 2.3283064365386963E-10D))), named_struct('s', 0.0D, 'c', 0.0D), (a, x) -> named_struct('s', a.s + x, 'c', a.c + case when abs(a.s) >= abs(x) then (a.s - (a.s + x)) + x else (x - (a.s + x)) + a.s end), a -> a.s + a.c) * 4294967296.0D, 1.7976931348623157E308D), -1.7976931348623157E308D), 9) else cast(round(sum(try_cast(`cost_usd` as decimal(30, 15))), 9) as double) end as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by window_start
)
select g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'org_spend_threshold_low' as rule, 'low' as level
from groups g
where g.value > 75
