-- key_hour_of_week_deviation: AI API Key Used in Hours of the Week in Which It Is Always Silent (medium), version of 2026-11-24
-- needs: usage, key_hours_of_week, key_requests_daily
-- deviations: none
with events as (
  select timestamp, "key_id", "request_count", "hour_of_week", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null and not coalesce("bucket_seconds" > 3600, false))
), groups as (
  select e."key_id", e.window_start, sum("request_count") as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen, count(*) filter (where e."key_id" is not null and e."hour_of_week" is not null and t.kt_found is null) / count(*) as share
  from events e left join (select "key_id" as "kt_key_id", "hour_of_week" as "kt_hour_of_week", true as kt_found from "key_hours_of_week") t on e."key_id" = t."kt_key_id" and e."hour_of_week" = t."kt_hour_of_week"
  group by e."key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.share, g.events, g.first_seen, g.last_seen, b1."days" as "baseline_key_requests_daily_days", b1."mean" as "baseline_key_requests_daily_mean", b1."mad" as "baseline_key_requests_daily_mad", b1."median" as "baseline_key_requests_daily_median", 'key_hour_of_week_deviation' as rule, 'medium' as level
from groups g
left join "key_requests_daily" b1 on g."key_id" = b1."key_id"
where g.value >= 30
  and g.share > cast(0.4 as double)
  and exists (select 1 from "key_hours_of_week" m where m."key_id" = g."key_id")
  and (b1."key_id" is not null and coalesce(cast(g.value as double) > cast(0.0 as double), false) and (coalesce(cast(b1."days" as double) >= cast(14.0 as double), false) and coalesce((cast(b1."mean" as double) * cast(b1."days" as double)) >= cast(250.0 as double), false) and coalesce(cast(b1."mad" as double) <= (cast(1.0 as double) + (cast(0.25 as double) * cast(b1."median" as double))), false)))
