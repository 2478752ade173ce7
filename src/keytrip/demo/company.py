"""The 60 keys of a made-up company, of which four will be stolen.

Loads are such that a key's hours are dense, and that the company spends some 50 USD on a weekday, well below the
first threshold (75 USD a day) of the rule org_spend_threshold.
"""

from __future__ import annotations

from keytrip.demo.profiles import Change, Load, Profile
from keytrip.demo.world import (
    BERLIN,
    BUILDS,
    CLOUD_ASIA,
    CLOUD_EU,
    CLOUD_US,
    CLUSTER,
    FLASH,
    GPT_4O,
    GPT_4O_OLD,
    GPT_41,
    HAIKU,
    HTTPX,
    LARGE,
    MINI_4O,
    MINI_41,
    MINI_41_UNDATED,
    NIGHTLY,
    NODE,
    OFFICE,
    PIPELINE,
    PYTHON,
    PYTHON_NEW,
    RACK,
    REQUESTS,
    RUNNERS,
    SERVICE,
    SINGAPORE,
    SMALL,
    SONNET,
    TORONTO,
    pins,
    rolls,
    upgrades,
)

_AWAY_AT_THE_END = Change(0, away=True)

_SERVICES = (
    Profile(
        "support-chat", "support", SERVICE, CLOUD_EU, (GPT_4O_OLD,), Load(57, 12_000, 840), NODE, 400, (rolls(14),)
    ),
    Profile("support-triage", "support", SERVICE, CLOUD_EU, (MINI_4O,), Load(54, 2000, 120), PYTHON, 0, (upgrades(9),)),
    Profile("support-replies", "support", SERVICE, CLOUD_US, (SONNET,), Load(36, 10_800, 790), HTTPX, 250),
    Profile("ticket-tagger", "support", SERVICE, CLOUD_EU, (MINI_4O,), Load(130, 1400, 80), PYTHON),
    Profile(
        "shop-search", "shop", SERVICE, CLOUD_US, (MINI_41_UNDATED,), Load(66, 2200, 160, 0.03), NODE, 600, (pins(0),)
    ),
    Profile(
        "shop-assistant", "shop", SERVICE, CLOUD_US, (GPT_4O_OLD,), Load(54, 14_800, 700, 0.04), NODE, 700, (rolls(0),)
    ),
    Profile("shop-reviews", "shop", SERVICE, CLUSTER, (MINI_4O,), Load(48, 1600, 200), PYTHON, 0, (upgrades(17),)),
    Profile("catalogue-texts", "shop", SERVICE, CLUSTER, (HAIKU, SONNET), Load(42, 6800, 1100), HTTPX),
    Profile("returns-mail", "shop", SERVICE, CLOUD_EU, (MINI_41,), Load(36, 2800, 350), REQUESTS),
    Profile("fraud-notes", "payments", SERVICE, RACK, (GPT_41,), Load(48, 18_200, 650), PYTHON, 0, (upgrades(12),)),
    Profile("disputes", "payments", SERVICE, RACK, (GPT_4O_OLD,), Load(36, 30_000, 1300), REQUESTS, 0, (rolls(14),)),
    Profile("code-review", "platform", SERVICE, CLOUD_EU, (GPT_41,), Load(90, 7400, 840), PYTHON, 0, (upgrades(20),)),
    Profile(
        "alert-digest",
        "platform",
        SERVICE,
        CLUSTER,
        (GPT_4O_OLD,),
        Load(45, 40_000, 600),
        PYTHON,
        0,
        (rolls(6), upgrades(0)),
    ),
    Profile("log-explainer", "platform", SERVICE, CLOUD_ASIA, (FLASH,), Load(54, 20_000, 940), HTTPX),
    Profile(
        "app-assistant",
        "mobile",
        SERVICE,
        CLOUD_ASIA,
        (GPT_4O_OLD, MINI_4O),
        Load(60, 7600, 550, 0.02),
        NODE,
        900,
        (rolls(0, MINI_4O),),
    ),
    Profile("app-translate", "mobile", SERVICE, CLOUD_ASIA, (FLASH,), Load(72, 2700, 1300), HTTPX, 500),
    Profile("voice-notes", "mobile", SERVICE, CLOUD_US, (HAIKU,), Load(42, 7400, 740), NODE, 300),
    Profile("lead-scoring", "growth", SERVICE, CLOUD_US, (MINI_41,), Load(48, 3200, 110, 0.05), REQUESTS),
    Profile("doc-answers", "legal", SERVICE, CLOUD_EU, (SONNET,), Load(30, 25_600, 1300), HTTPX, 40),
    # One key was replaced by another 12 days before the end, so the second is young, and the first is gone.
    Profile("billing-help", "payments", SERVICE, CLOUD_US, (MINI_41,), Load(42, 3300, 320), NODE, 300, until=13),
    Profile("billing-help-2", "payments", SERVICE, CLOUD_US, (MINI_41,), Load(42, 3300, 320), NODE, 300, since=12),
    Profile("checkout-hints", "shop", SERVICE, CLOUD_US, (MINI_4O,), Load(60, 1200, 90, 0.06), NODE, 800, since=17),
)

_BATCHES = (
    Profile("nightly-reports", "data", NIGHTLY, RACK, (GPT_4O_OLD,), Load(45, 40_000, 1600), PYTHON, 0, (rolls(14),)),
    Profile(
        "nightly-contracts", "legal", NIGHTLY, CLOUD_EU, (GPT_41,), Load(40, 60_000, 1000), PYTHON, 0, (upgrades(9),)
    ),
    Profile("nightly-labels", "data", NIGHTLY, CLOUD_EU, (MINI_4O,), Load(80, 3000, 60), REQUESTS),
    Profile("nightly-news", "growth", NIGHTLY, CLOUD_US, (HAIKU,), Load(50, 7500, 890), HTTPX),
    Profile(
        "nightly-invoices",
        "payments",
        NIGHTLY,
        CLOUD_EU,
        (GPT_4O_OLD,),
        Load(55, 22_000, 700, 0.03),
        PYTHON,
        0,
        (rolls(0),),
    ),
    Profile("nightly-forecast", "data", NIGHTLY, CLOUD_ASIA, (SONNET,), Load(30, 15_000, 1700), HTTPX),
    Profile("nightly-quality", "research", NIGHTLY, RACK, (GPT_4O,), Load(60, 20_000, 600), PYTHON, 0, (upgrades(4),)),
)

_PIPELINES = (
    Profile("index-help", "support", PIPELINE, CLOUD_EU, (SMALL,), Load(72, 6000), PYTHON, 0, (upgrades(9),)),
    Profile("index-shop", "shop", PIPELINE, CLOUD_US, (SMALL,), Load(96, 4000, 0, 0.03), NODE),
    Profile("index-wiki", "platform", PIPELINE, CLUSTER, (LARGE,), Load(72, 7000), PYTHON, 0, (upgrades(15),)),
    Profile("index-contracts", "legal", PIPELINE, CLOUD_EU, (LARGE,), Load(60, 7500), REQUESTS),
    Profile("index-tickets", "support", PIPELINE, CLOUD_ASIA, (SMALL,), Load(60, 2500), PYTHON),
)

_BUILDS = (
    Profile(
        "ci-evals", "platform", BUILDS, RUNNERS, (MINI_4O, MINI_41), Load(90, 1800, 200), PYTHON, 0, (upgrades(18),)
    ),
    Profile("ci-release-notes", "platform", BUILDS, RUNNERS, (GPT_4O_OLD,), Load(54, 5000, 500), NODE, 0, (rolls(11),)),
)

_PEOPLE = (
    Profile(
        "jonas.keller", "legal", OFFICE, BERLIN, (SONNET,), Load(36, 2500, 550), HTTPX, changes=(_AWAY_AT_THE_END,)
    ),
    Profile("aylin.demir", "legal", OFFICE, BERLIN, (SONNET,), Load(27, 3800, 650), HTTPX),
    Profile(
        "lena.vogt", "data", OFFICE, BERLIN, (GPT_4O_OLD,), Load(42, 3500, 650), PYTHON, 0, (rolls(14), upgrades(9))
    ),
    Profile("piotr.nowak", "data", OFFICE, BERLIN, (GPT_41,), Load(39, 4100, 550), PYTHON, 0, (upgrades(8),)),
    Profile(
        "marta.silva",
        "research",
        OFFICE,
        BERLIN,
        (GPT_4O_OLD, GPT_41),
        Load(48, 3900, 770),
        PYTHON,
        0,
        (rolls(3, GPT_41),),
    ),
    Profile("tomas.novak", "platform", OFFICE, BERLIN, (GPT_41,), Load(45, 5100, 650), PYTHON, 0, (upgrades(0),)),
    Profile("ines.moreau", "growth", OFFICE, BERLIN, (MINI_4O,), Load(30, 1400, 380), REQUESTS),
    Profile("erik.lund", "platform", OFFICE, BERLIN, (HAIKU,), Load(33, 3100, 490), HTTPX),
    Profile("maya.tremblay", "growth", OFFICE, TORONTO, (MINI_41,), Load(33, 1800, 380), PYTHON),
    Profile("daniel.roy", "support", OFFICE, TORONTO, (GPT_4O_OLD,), Load(36, 3300, 600), NODE, 0, (rolls(14),)),
    Profile("grace.okafor", "data", OFFICE, TORONTO, (GPT_4O,), Load(39, 4300, 560), PYTHON_NEW),
    Profile("liam.chen", "platform", OFFICE, TORONTO, (GPT_41,), Load(48, 4900, 610), PYTHON, 0, (upgrades(16),)),
    Profile("sofia.rossi", "shop", OFFICE, TORONTO, (MINI_41,), Load(30, 2100, 410, 0.02), NODE),
    Profile("noah.singh", "payments", OFFICE, TORONTO, (SONNET,), Load(24, 4000, 560), HTTPX),
    Profile("olivia.martin", "research", OFFICE, TORONTO, (GPT_4O_OLD,), Load(42, 4500, 690), PYTHON, 0, (rolls(0),)),
    Profile(
        "wei.tan", "mobile", OFFICE, SINGAPORE, (GPT_4O_OLD,), Load(36, 3800, 550), PYTHON, 0, (rolls(14), upgrades(7))
    ),
    Profile("arjun.mehta", "mobile", OFFICE, SINGAPORE, (GPT_41,), Load(45, 4600, 610), PYTHON, 0, (upgrades(13),)),
    Profile("siti.rahman", "data", OFFICE, SINGAPORE, (GPT_4O,), Load(33, 4100, 520), PYTHON_NEW),
    Profile("kenji.sato", "platform", OFFICE, SINGAPORE, (FLASH,), Load(42, 5100, 970), HTTPX),
    Profile("hana.kim", "mobile", OFFICE, SINGAPORE, (HAIKU,), Load(30, 3400, 520), HTTPX),
    Profile("minh.le", "shop", OFFICE, SINGAPORE, (MINI_4O,), Load(36, 1700, 320, 0.04), NODE),
    Profile("farah.aziz", "support", OFFICE, SINGAPORE, (GPT_4O_OLD,), Load(30, 3700, 560), REQUESTS, 0, (rolls(5),)),
    Profile("lucas.meyer", "shop", OFFICE, BERLIN, (MINI_41_UNDATED,), Load(33, 2300, 460), NODE, 0, (pins(2),)),
    Profile("ruth.levi", "research", OFFICE, BERLIN, (GPT_4O,), Load(36, 4700, 680), PYTHON_NEW),
)


def company() -> tuple[Profile, ...]:
    """Return every key of the company as it is used by its owner."""
    return _SERVICES + _BATCHES + _PIPELINES + _BUILDS + _PEOPLE
