"""Baselines: jobs by kinds, daily partials, snapshots. A job file imports its kind from here."""

from keytrip.baselines.kinds import DailyStatistic, HourProfile, Job, KnownSet

__all__ = ["DailyStatistic", "HourProfile", "Job", "KnownSet"]
