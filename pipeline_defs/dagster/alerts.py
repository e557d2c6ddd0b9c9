"""Alerts: a run that failed, a gate that was not passed, a training that collapses. Off until they are switched on.

Each goes to the log, and to the webhook and the mail addresses of ``operations.toml``. They see every run of the
instance, whoever started it. A destination that does not answer is said in the tick and keeps no other from its alert.
"""

from __future__ import annotations

import json
import logging
import os
import smtplib
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

import dagster as dg

from pipeline_defs.catalogue import Catalogue
from pipeline_defs.dagster import tags
from pipeline_defs.operations import Alerts, operations

TIMEOUT_S = 10
SHOWN = (tags.CHAIN, tags.RECIPE, tags.PRESET, tags.MANIFEST, tags.COMMIT)


def alert_sensors(known: Catalogue) -> list[dg.SensorDefinition]:
    """``run_failed``, ``gate_failed`` and ``collapse``."""
    gates = [dg.AssetCheckKey(dg.AssetKey([name, "gate_report"]), "gate") for name in known.recipes]
    collapses = [dg.AssetCheckKey(dg.AssetKey([name, "checkpoint"]), "no_collapse") for name in known.recipes]
    return [
        run_failed,
        _check_sensor("gate_failed", gates, "Fires when a gate report is not a pass, in whatever run."),
        _check_sensor(
            "collapse", collapses, "Fires when a training ends with a criterion of the collapse monitor met."
        ),
    ]


@dg.run_failure_sensor(
    name="run_failed",
    monitor_all_code_locations=True,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Fires when a run fails or is found dead: of the UI, of sensors, and of `stemma run`.",
)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    """One alert for each failed run."""
    send("run_failed", context.failure_event.message or "failed", context.dagster_run, context.log)


def _check_sensor(name: str, checks: Sequence[dg.AssetCheckKey], says: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=says,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        seen: dict[str, int] = json.loads(context.cursor or "{}")
        told = 0
        for key in checks:
            text = key.to_user_string()
            records = context.instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
            new = [record for record in reversed(records) if record.id > seen.get(text, 0) and record.event]
            for record in new if context.cursor else ():  # what was before the sensor was switched on is no news
                told += _tell(name, context, record)
            seen[text] = max([seen.get(text, 0), *(record.id for record in new)])
        context.update_cursor(json.dumps(seen))
        return dg.SkipReason(f"{told} alerts sent" if told else "nothing to tell")

    return sensor


def _tell(name: str, context: dg.SensorEvaluationContext, record: Any) -> int:
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    if evaluation.passed:
        return 0
    words = f"{evaluation.asset_check_key.to_user_string()}: {evaluation.description or 'see its numbers'}"
    send(name, words, context.instance.get_run_by_id(record.run_id), context.log)
    return 1


def send(name: str, words: str, run: dg.DagsterRun | None, log: logging.Logger) -> dict[str, Any]:
    """Tell everyone who is to be told; the document that was sent."""
    document = {"alert": name, "text": words, "run": run.run_id if run else None, "job": run.job_name if run else None}
    document |= {"tags": {key: run.tags[key] for key in SHOWN if run and key in run.tags}}
    log.warning(f"{name}: {words}")
    asked = operations().alerts
    for where, tell in ((asked.webhook, _post), (asked.email_to, _mail)):
        if where:
            try:
                tell(asked, document)
            except OSError as error:  # of urllib, sockets and smtplib alike
                log.error(f"{name} could not be sent to {where}: {error}")
    return document


def _post(asked: Alerts, document: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(asked.webhook, json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass


def _mail(asked: Alerts, document: dict[str, Any]) -> None:
    message = EmailMessage()
    message["Subject"] = f"Stemma: {document['alert']}" + (f" ({document['job']})" if document["job"] else "")
    message["From"], message["To"] = asked.email_from or asked.email_to[0], ", ".join(asked.email_to)
    message.set_content(json.dumps(document, indent=2))
    host, _, port = asked.smtp.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S) as server:
        if user := os.environ.get("STEMMA_SMTP_USER"):
            server.starttls()
            server.login(user, os.environ.get("STEMMA_SMTP_PASSWORD", ""))
        server.send_message(message)
