-- key_model_tier_jump: AI API Key First Uses a Model Many Times Dearer Than Its Usual Ones (high), version of 2026-11-24
-- needs: usage, key_models, key_list_price_daily
-- deviations: none
with events as (
  select timestamp, `key_id`, `model`, `list_price`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp), 86400000000)) as window_start
  from usage
  where timestamp is not null and `key_id` is not null and `model` is not null and (`key_id` is not null and `list_price` is not null and not coalesce(lower(`model`) = '', false))
), groups as (
  select `key_id`, `model`, window_start, element_at(transform(transform(array(sort_array(collect_list(cast(`list_price` as double)))), a -> named_struct('l', get(a, cast((size(a) - 1L) * 50 div 100 as int)), 'h', get(a, cast(((size(a) - 1L) * 50 + 99) div 100 as int)), 'f', (size(a) - 1L) * 50 % 100)), p -> case when greatest(abs(p.l), abs(p.h)) < 1.0E10D then cast((cast(p.l as decimal(28, 18)) * cast(100 - p.f as decimal(3, 0)) + cast(p.h as decimal(28, 18)) * cast(p.f as decimal(3, 0))) / cast(100 as decimal(3, 0)) as double) else p.l + (p.h - p.l) * (p.f / 100) end), 1) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, `model`, window_start
)
select g.`key_id`, g.`model`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 86400000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, b1.`max` as `baseline_key_list_price_daily_max`, b1.`median` as `baseline_key_list_price_daily_median`, b1.`days` as `baseline_key_list_price_daily_days`, 'key_model_tier_jump' as rule, 'high' as level
from groups g
left join `key_list_price_daily` b1 on g.`key_id` = b1.`key_id`
where g.value > 5
  and not exists (select 1 from `key_models` m where m.`key_id` = g.`key_id` and m.`model` = g.`model`)
  and exists (select 1 from `key_models` m where m.`key_id` = g.`key_id`)
  and (coalesce(cast(g.value as double) > cast(b1.`max` as double), false) and (coalesce(cast(g.value as double) >= (5.0D * cast(b1.`median` as double)), false) and coalesce(cast(b1.`days` as double) >= 3.0D, false)))
