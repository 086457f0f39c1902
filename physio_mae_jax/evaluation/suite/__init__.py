"""The evaluation suite: many tasks in one table and one page.

Modules::

    headline          the metric that a task of the suite is known by
    page              the report of a suite as one HTML page that needs no network
    plot              values with intervals on a common axis, as inline SVG that fits any width
    results           results of the tasks of a suite, from the folders of their trials
    retrieval_result  retrieval between PPG and ECG as a task of the suite
    text              the report of a suite in Markdown
"""
