-- kind_chain_over_temporal: A rule (high)
-- needs: usage, key_source_ips, keys
-- deviations: none
with events as (
  select timestamp, `key_id`, timestamp_micros(unix_micros(timestamp) - pmod(unix_micros(timestamp) - 345600000000, 604800000000)) as window_start
  from (select last_seen as timestamp, `key_id`, `source_ip` from (
with events as (
  select timestamp, `key_id`, `source_ip`, (coalesce(`status_code` = 401, false)) as kt_m0, (coalesce(`status_code` = 200, false)) as kt_m1
  from usage
  where timestamp is not null and `key_id` is not null and `source_ip` is not null and ((coalesce(`status_code` = 401, false)) or (coalesce(`status_code` = 200, false)))
), kt_lasts as (
  select `key_id`, `source_ip`, timestamp, max(case when kt_m0 then timestamp end) over (partition by `key_id`, `source_ip` order by timestamp range between unbounded preceding and current row) as kt_l0, max(case when kt_m1 then timestamp end) over (partition by `key_id`, `source_ip` order by timestamp range between unbounded preceding and current row) as kt_l1, rank() over (partition by `key_id`, `source_ip` order by timestamp) as kt_rank, count(*) over (partition by `key_id`, `source_ip` order by timestamp range between unbounded preceding and current row) as kt_upto
  from events
), kt_seen as (
  select `key_id`, `source_ip`, timestamp, kt_rank, kt_upto, case when kt_l0 is null or kt_l1 is null then null else least(kt_l0, kt_l1) end as kt_start
  from kt_lasts
), completions as (
  select *, lag(timestamp) over (partition by `key_id`, `source_ip` order by timestamp) as kt_before
  from kt_seen
  where unix_micros(kt_start) >= unix_micros(timestamp) - 3600000000
), numbered as (
  select *, sum(case when unix_micros(kt_before) >= unix_micros(timestamp) - 3600000000 then 0 else 1 end) over (partition by `key_id`, `source_ip` order by timestamp range between unbounded preceding and current row) as kt_alert
  from completions
), alerts as (
  select `key_id`, `source_ip`, min(kt_start) as window_start, max(timestamp) as window_end, max(kt_upto) as kt_upto
  from numbered
  group by `key_id`, `source_ip`, kt_alert
), groups as (
  select `key_id`, `source_ip`, window_start, max(window_end) as window_end, cast(null as bigint) as value,
    max(a.kt_upto) - min(s.kt_rank) + 1 as events, window_start as first_seen, max(window_end) as last_seen
  from alerts a join (select `key_id`, `source_ip`, timestamp as window_start, kt_rank from kt_seen) s using (`key_id`, `source_ip`, window_start)
  group by `key_id`, `source_ip`, window_start
)
select g.`key_id`, g.`source_ip`, g.window_start, g.window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_temporal' as rule, 'high' as level
from groups g
where not exists (select 1 from `key_source_ips` m where m.`key_id` = g.`key_id` and m.`source_ip` = g.`source_ip`)
  and exists (select 1 from `keys` m where m.`key_id` = g.`key_id`)
))
  where timestamp is not null and `key_id` is not null and (true)
), groups as (
  select `key_id`, window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen
  from events
  group by `key_id`, window_start
)
select g.`key_id`, g.window_start, timestamp_micros(unix_micros(g.window_start) + 604800000000) as window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_chain_over_temporal' as rule, 'high' as level
from groups g
where g.value >= 2
