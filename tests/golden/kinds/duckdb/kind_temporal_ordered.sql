-- kind_temporal_ordered: A rule (high)
-- needs: audit, usage
-- deviations: none
with kt_base as not materialized (
  select timestamp, "target_key_id" as "key_id", (coalesce(lower("action") = 'limit_raised', false)) as kt_m0, false as kt_m1, false as kt_m2
  from audit
  where timestamp is not null and "target_key_id" is not null and (coalesce(lower("action") = 'limit_raised', false))
  union all
  select timestamp, "key_id", false as kt_m0, (coalesce("status_code" = 401, false)) as kt_m1, (coalesce("status_code" = 200, false)) as kt_m2
  from usage
  where timestamp is not null and "key_id" is not null and ((coalesce("status_code" = 401, false)) or (coalesce("status_code" = 200, false)))
), kt_rarest as (
  select case least(count(*) filter (kt_m0), count(*) filter (kt_m1), count(*) filter (kt_m2)) when count(*) filter (kt_m0) then 0 when count(*) filter (kt_m1) then 1 when count(*) filter (kt_m2) then 2 end as kt_rule
  from kt_base
), kt_near as (
  select distinct "key_id", unnest([kt_bucket + to_seconds(-3600), kt_bucket + to_seconds(0), kt_bucket + to_seconds(3600)]) as kt_bucket
  from (
    select distinct "key_id", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as kt_bucket
    from kt_base, kt_rarest
    where case kt_rule when 0 then kt_m0 when 1 then kt_m1 when 2 then kt_m2 end
  )
), events as (
  select *
  from (select *, make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as kt_bucket from kt_base) semi join kt_near using ("key_id", kt_bucket)
), kt_s0 as (
  select "key_id", timestamp, kt_m1, kt_m2, case when kt_m0 then timestamp end as kt_start, rank() over (partition by "key_id" order by timestamp) as kt_rank, count(*) over (partition by "key_id" order by timestamp range between unbounded preceding and current row) as kt_upto
  from events
), kt_s1 as (
  select "key_id", timestamp, kt_m1, kt_m2, case when kt_m1 then last_value(kt_start ignore nulls) over (partition by "key_id" order by timestamp groups between unbounded preceding and 1 preceding) end as kt_start, kt_rank, kt_upto
  from kt_s0
), kt_s2 as (
  select "key_id", timestamp, kt_m1, kt_m2, case when kt_m2 then last_value(kt_start ignore nulls) over (partition by "key_id" order by timestamp groups between unbounded preceding and 1 preceding) end as kt_start, kt_rank, kt_upto
  from kt_s1
), kt_seen as (
  select *
  from kt_s2
), completions as (
  select *, lag(timestamp) over (partition by "key_id" order by timestamp) as kt_before
  from kt_seen
  where kt_start >= timestamp - to_seconds(3600)
), numbered as (
  select *, sum(case when kt_before >= timestamp - to_seconds(3600) then 0 else 1 end) over (partition by "key_id" order by timestamp range between unbounded preceding and current row) as kt_alert
  from completions
), alerts as (
  select "key_id", min(kt_start) as window_start, max(timestamp) as window_end, max(kt_upto) as kt_upto
  from numbered
  group by "key_id", kt_alert
), groups as (
  select "key_id", window_start, max(window_end) as window_end, cast(null as bigint) as value,
    max(a.kt_upto) - min(s.kt_rank) + 1 as events, window_start as first_seen, max(window_end) as last_seen
  from alerts a join (select "key_id", timestamp as window_start, kt_rank from kt_seen) s using ("key_id", window_start)
  group by "key_id", window_start
)
select g."key_id", g.window_start, g.window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_temporal_ordered' as rule, 'high' as level
from groups g
