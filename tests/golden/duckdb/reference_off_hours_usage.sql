-- reference_off_hours_usage: AI API Key Used Outside Its Active Hours (Reference) (medium), version of 2026-11-24
-- needs: usage, key_active_hours
-- deviations: none
with events as (
  select timestamp, "key_id", "hour_of_day", make_timestamp((epoch_us(timestamp)) // 86400000000 * 86400000000 + 0) as window_start
  from usage
  where timestamp is not null and "key_id" is not null and ("key_id" is not null and not coalesce("bucket_seconds" > 3600, false))
), groups as (
  select e."key_id", e.window_start, count(*) as value, count(*) as events, min(timestamp) as first_seen, max(timestamp) as last_seen, count(*) filter (where e."key_id" is not null and e."hour_of_day" is not null and t.kt_found is null) / count(*) as share
  from events e left join (select "key_id" as "kt_key_id", "hour_of_day" as "kt_hour_of_day", true as kt_found from "key_active_hours") t on e."key_id" = t."kt_key_id" and e."hour_of_day" = t."kt_hour_of_day"
  group by e."key_id", window_start
)
select g."key_id", g.window_start, g.window_start + to_seconds(86400) as window_end, g.value, g.share, g.events, g.first_seen, g.last_seen, 'reference_off_hours_usage' as rule, 'medium' as level
from groups g
where g.value >= 1
  and g.share > cast(0.3 as double)
  and exists (select 1 from "key_active_hours" m where m."key_id" = g."key_id")
