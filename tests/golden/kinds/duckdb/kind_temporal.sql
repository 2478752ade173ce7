-- kind_temporal: A rule (high)
-- needs: usage, key_source_ips, keys
-- deviations: none
with kt_base as not materialized (
  select timestamp, "key_id", "source_ip", (coalesce("status_code" = 401, false)) as kt_m0, (coalesce("status_code" = 200, false)) as kt_m1
  from usage
  where timestamp is not null and "key_id" is not null and "source_ip" is not null and ((coalesce("status_code" = 401, false)) or (coalesce("status_code" = 200, false)))
), kt_rarest as (
  select case least(count(*) filter (kt_m0), count(*) filter (kt_m1)) when count(*) filter (kt_m0) then 0 when count(*) filter (kt_m1) then 1 end as kt_rule
  from kt_base
), kt_near as (
  select distinct "key_id", "source_ip", unnest([kt_bucket + to_seconds(-3600), kt_bucket + to_seconds(0), kt_bucket + to_seconds(3600)]) as kt_bucket
  from (
    select distinct "key_id", "source_ip", make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as kt_bucket
    from kt_base, kt_rarest
    where case kt_rule when 0 then kt_m0 when 1 then kt_m1 end
  )
), events as (
  select *
  from (select *, make_timestamp((epoch_us(timestamp)) // 3600000000 * 3600000000 + 0) as kt_bucket from kt_base) semi join kt_near using ("key_id", "source_ip", kt_bucket)
), kt_lasts as (
  select "key_id", "source_ip", timestamp, last_value(case when kt_m0 then timestamp end ignore nulls) over (partition by "key_id", "source_ip" order by timestamp range between unbounded preceding and current row) as kt_l0, last_value(case when kt_m1 then timestamp end ignore nulls) over (partition by "key_id", "source_ip" order by timestamp range between unbounded preceding and current row) as kt_l1, rank() over (partition by "key_id", "source_ip" order by timestamp) as kt_rank, count(*) over (partition by "key_id", "source_ip" order by timestamp range between unbounded preceding and current row) as kt_upto
  from events
), kt_seen as (
  select "key_id", "source_ip", timestamp, kt_rank, kt_upto, case when kt_l0 is null or kt_l1 is null then null else least(kt_l0, kt_l1) end as kt_start
  from kt_lasts
), completions as (
  select *, lag(timestamp) over (partition by "key_id", "source_ip" order by timestamp) as kt_before
  from kt_seen
  where kt_start >= timestamp - to_seconds(3600)
), numbered as (
  select *, sum(case when kt_before >= timestamp - to_seconds(3600) then 0 else 1 end) over (partition by "key_id", "source_ip" order by timestamp range between unbounded preceding and current row) as kt_alert
  from completions
), alerts as (
  select "key_id", "source_ip", min(kt_start) as window_start, max(timestamp) as window_end, max(kt_upto) as kt_upto
  from numbered
  group by "key_id", "source_ip", kt_alert
), groups as (
  select "key_id", "source_ip", window_start, max(window_end) as window_end, cast(null as bigint) as value,
    max(a.kt_upto) - min(s.kt_rank) + 1 as events, window_start as first_seen, max(window_end) as last_seen
  from alerts a join (select "key_id", "source_ip", timestamp as window_start, kt_rank from kt_seen) s using ("key_id", "source_ip", window_start)
  group by "key_id", "source_ip", window_start
)
select g."key_id", g."source_ip", g.window_start, g.window_end, g.value, g.events, g.first_seen, g.last_seen, 'kind_temporal' as rule, 'high' as level
from groups g
where not exists (select 1 from "key_source_ips" m where m."key_id" = g."key_id" and m."source_ip" = g."source_ip")
  and exists (select 1 from "keys" m where m."key_id" = g."key_id")
