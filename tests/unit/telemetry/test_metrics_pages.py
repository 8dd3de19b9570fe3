"""Pages of several processes joined to one: nothing is lost, and nothing is there twice."""

from mailtier.telemetry import metrics_pages

_INTAKE = """# HELP mailtier_notifications_accepted_total Taken.
# TYPE mailtier_notifications_accepted_total counter
mailtier_notifications_accepted_total{category="JobAlert",source="http"} 3.0
# HELP mailtier_settings Organizations.
# TYPE mailtier_settings gauge
mailtier_settings 2.0
# HELP mailtier_sessions_open Sessions.
# TYPE mailtier_sessions_open gauge
mailtier_sessions_open 0.0
"""
_DELIVERY = """# HELP mailtier_notifications_accepted_total Taken.
# TYPE mailtier_notifications_accepted_total counter
# HELP mailtier_settings Organizations.
# TYPE mailtier_settings gauge
mailtier_settings 2.0
# HELP mailtier_sessions_open Sessions.
# TYPE mailtier_sessions_open gauge
mailtier_sessions_open 5.0
# HELP process_cpu_seconds_total CPU.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
# HELP mailtier_kubernetes_requests_total Requests.
# TYPE mailtier_kubernetes_requests_total counter
mailtier_kubernetes_requests_total{verb="GET",code="200"} 7.0
"""


def test_what_one_process_counts_is_there_once() -> None:
    """A family has one head, and a series that the other has at 0 is what it is."""
    lines = metrics_pages.join({"intake": _INTAKE, "delivery": _DELIVERY}).splitlines()
    assert lines.count("# TYPE mailtier_sessions_open gauge") == 1
    assert 'mailtier_notifications_accepted_total{category="JobAlert",source="http"} 3.0' in lines
    assert "mailtier_sessions_open 5.0" in lines


def test_what_each_process_has_for_itself_says_whose_it_is() -> None:
    """Two processes' memory, or numbers of settings, are neither summed nor lost."""
    lines = metrics_pages.join({"intake": _INTAKE, "delivery": _DELIVERY}).splitlines()
    assert 'mailtier_settings{part="intake"} 2.0' in lines
    assert 'mailtier_settings{part="delivery"} 2.0' in lines
    assert 'process_cpu_seconds_total{part="delivery"} 1.5' in lines
    assert 'mailtier_kubernetes_requests_total{part="delivery",verb="GET",code="200"} 7.0' in lines


def test_a_process_that_does_not_answer_takes_nothing_with_it() -> None:
    """The page of the other is whole."""
    assert "mailtier_sessions_open 5.0" in metrics_pages.join({"delivery": _DELIVERY})
