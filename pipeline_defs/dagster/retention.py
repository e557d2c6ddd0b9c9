"""The job ``gc`` and its weekly schedule, off until it is switched on: what nothing needs goes, with a receipt."""

import dagster as dg
from pydantic import Field

from pipeline_defs.answers.retention.collect import collect, plan_collection
from pipeline_defs.answers.retention.needs import DAYS
from pipeline_defs.dagster.resources import StoreResource
from pipeline_defs.home import stemma_root
from pipeline_defs.locks import ROOT_LOCK, hold

SAYS = "Removes what no name, champion, hold, signature, proof or recent run needs. Receipts never go."


class GcConfig(dg.Config):
    """What a collection may choose."""

    keep_days: float = Field(default=DAYS, description="Keep what was made or used in so many days.")
    apply: bool = Field(default=True, description="Off: only say in the log what would go.")


@dg.op(name="gc_work", description=SAYS)
def work(context: dg.OpExecutionContext, store: StoreResource, config: GcConfig) -> None:
    """Under the store's one lease; what went is in the log, and in the receipt."""
    opened = store.open()
    with hold(stemma_root() / ROOT_LOCK, "the job gc", say=context.log.info), opened.in_use(alone=config.apply):
        plan = plan_collection(opened, config.keep_days)
        for key in plan.snapshots:
            context.log.info(f"{'goes' if config.apply else 'would go'}: {plan.needs.nodes[key].kind} {key}")
        done = collect(opened, plan) if config.apply else None
    facts = {"snapshots": len(plan.snapshots), "folders": len(plan.folders), "kept": len(plan.needs.kept)}
    context.add_output_metadata({**facts, "receipt": done["receipt"] if done else "none: nothing went"})


@dg.job(name="gc", description=SAYS)
def gc_job() -> None:
    """One op."""
    work()


gc_weekly = dg.ScheduleDefinition(
    name="gc_weekly",
    job=gc_job,
    cron_schedule="0 4 * * 0",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every Sunday at four in the morning, once it is switched on.",
)
