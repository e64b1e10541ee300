"""What is watched. Each alarm has a paragraph in docs/operations.md that says what to do."""

from __future__ import annotations

from aws_cdk import Aws, Duration
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from batchlab_infra.functions import Functions
from batchlab_infra.settings import StackSettings

# The words of the line that a job logs when nothing has moved for so long; a test holds them to the processor's.
STALLED = "no progress for 5 minutes"
JOB_METRICS = "batchlab"  # the namespace of the reports' metrics
_FIVE_MINUTES = Duration.minutes(5)
_OLDEST_MESSAGE = Duration.minutes(15)  # the dispatcher takes seconds; a quarter of an hour is nobody at work


def make_alarms(
    scope: Construct, settings: StackSettings, functions: Functions, job_logs: logs.ILogGroup
) -> sns.Topic:
    """The alarms, the topic that they are sent to, the dashboard, and the budget when there is one."""
    topic = _topic(scope, settings)
    stalled = logs.MetricFilter(
        scope,
        "Stalled",
        log_group=job_logs,
        metric_namespace=JOB_METRICS,
        metric_name=f"{settings.name}-stalled",
        filter_pattern=logs.FilterPattern.literal(f'"{STALLED}"'),
        metric_value="1",
    ).metric(statistic="Sum", period=_FIVE_MINUTES)
    watched = {
        "DeadLetters": (
            functions.intake.dead.metric_approximate_number_of_messages_visible(period=_FIVE_MINUTES),
            0,
            "Messages on the intake queue that no job could be made of.",
        ),
        "DeadEvents": (
            functions.ends.dead.metric_approximate_number_of_messages_visible(period=_FIVE_MINUTES),
            0,
            "Events of AWS Batch that the notifier could not handle.",
        ),
        "OldestMessage": (
            functions.intake.queue.metric_approximate_age_of_oldest_message(period=_FIVE_MINUTES),
            _OLDEST_MESSAGE.to_seconds(),
            "A submitted job has waited for the dispatcher for a quarter of an hour.",
        ),
        "FailedJobs": (_matched(functions.failed), 0, "AWS Batch gave up a job."),
        "QueueBlocked": (_matched(functions.blocked), 0, "The job at the head of a queue cannot start."),
        "StalledJobs": (stalled, 0, "A job runs and has made no progress for five minutes."),
        "DispatcherErrors": (_errors(functions.dispatcher), 0, "The dispatcher failed."),
        "NotifierErrors": (_errors(functions.notifier), 0, "The notifier failed."),
        "SweeperErrors": (_errors(functions.sweeper), 0, "The sweeper failed."),
        "ApiErrors": (_errors(functions.api), 0, "The endpoint failed."),
    }
    alarms = []
    for name, (metric, threshold, description) in watched.items():
        alarm = cloudwatch.Alarm(
            scope,
            name,
            alarm_name=f"{settings.name}-{name}",
            alarm_description=f"{description} See docs/operations.md.",
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
        alarms.append(alarm)
    _dashboard(scope, settings, functions, alarms)
    if settings.monthly_budget_usd:
        _budget(scope, settings)
    return topic


def _topic(scope: Construct, settings: StackSettings) -> sns.Topic:
    topic = sns.Topic(scope, "Alarms", display_name=f"{settings.name} alarms", enforce_ssl=True)
    # A policy of our own replaces the one that lets CloudWatch in.
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
        )
    )
    if settings.alarm_email:
        topic.add_subscription(subscriptions.EmailSubscription(settings.alarm_email))
    return topic


def _matched(rule: events.Rule) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Events",
        metric_name="Invocations",
        dimensions_map={"RuleName": rule.rule_name},
        statistic="Sum",
        period=_FIVE_MINUTES,
    )


def _errors(function: lambda_.Function) -> cloudwatch.Metric:
    return function.metric_errors(statistic="Sum", period=_FIVE_MINUTES)


def _dashboard(
    scope: Construct, settings: StackSettings, functions: Functions, alarms: list[cloudwatch.Alarm]
) -> None:
    def of_jobs(title: str, name: str, statistic: str) -> cloudwatch.GraphWidget:
        found = f"SEARCH('{{{JOB_METRICS},type}} MetricName=\"{name}\"', '{statistic}', 300)"
        return cloudwatch.GraphWidget(
            title=title,
            width=8,
            left=[cloudwatch.MathExpression(expression=found, using_metrics={}, period=_FIVE_MINUTES)],
        )

    waiting = cloudwatch.GraphWidget(
        title="Waiting for the dispatcher",
        width=8,
        left=[functions.intake.queue.metric_approximate_number_of_messages_visible()],
        right=[functions.intake.queue.metric_approximate_age_of_oldest_message()],
    )
    ends = cloudwatch.GraphWidget(
        title="Given up by AWS Batch, blocked",
        width=8,
        left=[_matched(functions.failed), _matched(functions.blocked)],
    )
    every = (
        *(functions.api, functions.public),
        *(functions.dispatcher, functions.notifier, functions.sweeper),
    )
    errors = cloudwatch.GraphWidget(
        title="Functions' errors", width=8, left=[_errors(each) for each in every]
    )
    cloudwatch.Dashboard(
        scope,
        "Dashboard",
        dashboard_name=settings.name,
        widgets=[
            [cloudwatch.AlarmStatusWidget(title="Alarms", width=24, height=3, alarms=alarms)],
            [
                of_jobs("Items", "items", "Sum"),
                of_jobs("Items that failed", "failures", "Sum"),
                of_jobs("MB/s", "megabytes_per_second", "Average"),
            ],
            [waiting, ends, errors],
        ],
    )


def _budget(scope: Construct, settings: StackSettings) -> None:
    def notice(kind: str, percent: int) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
        return budgets.CfnBudget.NotificationWithSubscribersProperty(
            notification=budgets.CfnBudget.NotificationProperty(
                comparison_operator="GREATER_THAN",
                notification_type=kind,
                threshold=percent,
                threshold_type="PERCENTAGE",
            ),
            subscribers=[
                budgets.CfnBudget.SubscriberProperty(address=settings.alarm_email, subscription_type="EMAIL")
            ],
        )

    budgets.CfnBudget(
        scope,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=settings.monthly_budget_usd, unit="USD"),
            # what carries the stack's tag, once `batchlab` is activated as a cost-allocation tag
            cost_filters={"TagKeyValue": [f"user:batchlab${settings.name}"]},
        ),
        notifications_with_subscribers=[notice("ACTUAL", 80), notice("FORECASTED", 100)],
    )
