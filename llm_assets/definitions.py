"""The code location: everything in `dbt_like_configs`, bound to the resources of the chosen target."""

from __future__ import annotations

import warnings

import dagster as dg

from llm_assets.accelerators_assets import accelerators
from llm_assets.configs import configured
from llm_assets.console import console_logger
from llm_assets.instance import warn_if_foreign
from llm_assets.jobs import all_jobs, parts
from llm_assets.maintenance.assets import ASSETS as MAINTENANCE
from llm_assets.maintenance.assets import maintenance_jobs
from llm_assets.overview.asset import overview
from llm_assets.watching.reports import source_checks
from llm_assets.watching.watched import watched
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.config_errors import with_plain_errors
from resources.dagster_alerts import ALERTS_KEY, AlertsResource
from resources.dagster_platform import PLATFORM_KEY, PlatformResource
from resources.profile import CONFIGS, ROOT, load_profile, target_name
from sensors.accelerators import accelerators_picture
from sensors.automation import automation_sensors
from sensors.overview import overview_refresh
from sensors.run_failures import run_failures
from sensors.schedules import schedules
from sensors.source_files import source_files_sensors
from sensors.tracking import tracking_catch_up

# The observable source is beta in this release; the version in pyproject.toml pins the behaviour that was tested.
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=r".*(execution_type|observable_source_asset)")

EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


@dg.definitions
def defs() -> dg.Definitions:
    """Load the components, and add what they share: resources, executor, jobs, logging."""
    warn_if_foreign()
    loaded = with_plain_errors(lambda: dg.load_from_defs_folder(path_within_project=ROOT), CONFIGS)
    found, yaml = parts(loaded), configured()
    sources, jobs = watched(found, yaml), [*all_jobs(found, yaml), *maintenance_jobs()]
    shared = dg.Definitions(
        resources={
            PLATFORM_KEY: PlatformResource(target=target_name(CONFIGS)),
            ACCELERATOR_KEY: AcceleratorResource(),
            ALERTS_KEY: AlertsResource(target=target_name(CONFIGS)),
        },
        assets=[*MAINTENANCE, accelerators, overview],
        sensors=[
            accelerators_picture,
            overview_refresh,
            run_failures,
            tracking_catch_up,
            *source_files_sensors(sources, jobs),
            *automation_sensors(loaded),
        ],
        executor=EXECUTORS[load_profile().executor],
        asset_checks=source_checks(sources),
        jobs=jobs,
        schedules=schedules(found, yaml, jobs),
        loggers={"console": console_logger},
    )
    return dg.Definitions.merge(loaded, shared)
