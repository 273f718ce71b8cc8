"""The dashboard in a real browser: what a user sees, clicks and takes away."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def open_job(page: Page, seeded, name: str) -> str:
    """Open a search from the list; its path."""
    page.goto(seeded.url)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    return page.url.removeprefix(seeded.url)


def test_the_list_shows_every_search_with_its_state(page: Page, seeded):
    page.goto(seeded.url)
    listing = page.get_by_role("region", name="Searches")
    for name, state in (
        ("News topics with MiniLM", "completed"),
        ("Support tickets", "running"),
        ("Broken data", "failed"),
        ("Waiting in line", "queued"),
    ):
        expect(listing.get_by_role("link", name=name)).to_contain_text(state)


def test_a_finished_search_shows_front_knee_and_trials(page: Page, seeded):
    open_job(page, seeded, "News topics with MiniLM")
    front = page.get_by_role("region", name="Pareto front")
    expect(front.get_by_text("Trainable parameters (lower is better)")).to_be_visible()
    expect(front.get_by_text("Accuracy (higher is better)")).to_be_visible()
    for name in ("Pareto front", "Dominated", "Head only", "Full fine-tuning", "Knee"):
        expect(front.locator(".legend").get_by_text(name, exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Knee point").get_by_role("button", name="Export peft")).to_be_enabled()
    expect(page.get_by_role("region", name="Hypervolume")).to_contain_text("baselines alone")
    expect(page.get_by_role("region", name="Trials").locator("tbody tr")).to_have_count(15)


def test_a_finished_search_says_what_its_numbers_rest_on(page: Page, seeded):
    open_job(page, seeded, "News topics with MiniLM")
    front = page.get_by_role("region", name="Pareto front")
    expect(front.get_by_text("Hollow points were not trained again")).to_be_visible()
    front.get_by_text("The front as a table").click()
    rows = front.get_by_role("table", name="Pareto front and baselines").get_by_role("row")
    expect(rows.filter(has_text="2 fresh seeds").filter(has_text=re.compile(r"p\s=\s[01]\.")).first).to_be_visible()
    expect(rows.filter(has_text="its selecting run (measured accuracy").first).to_contain_text(" to 0.")
    short = page.get_by_role("region", name="Short runs")
    expect(short.get_by_text("with a Spearman correlation of")).to_be_visible()
    expect(short.get_by_role("table").get_by_role("row")).to_have_count(3)


def test_points_are_picked_by_name_and_taken_away(page: Page, seeded, tmp_path: Path):
    open_job(page, seeded, "News topics with MiniLM")
    picks = page.get_by_role("region", name="Points to take")
    expect(picks.get_by_role("row").filter(has_text="Knee")).to_be_visible()
    expect(picks.get_by_role("row").filter(has_text="Lowest trainable parameters")).to_contain_text("Head only")
    own = picks.get_by_label("Your own pick")
    own.fill("best:speed")
    own.press("Enter")
    expect(picks.get_by_text("its objectives: accuracy, trainable_parameters")).to_be_visible()
    expect(picks.get_by_role("button", name="Export paretune")).to_be_hidden()
    own.fill("best:accuracy,trainable_parameters<=5000")
    own.press("Enter")
    row = picks.get_by_role("row").filter(has_text="Highest accuracy with trainable parameters at most 5,000")
    number = row.get_by_role("link").inner_text()
    with page.expect_download() as download:
        picks.get_by_role("button", name="Export paretune").click()
    file = tmp_path / "picked.yaml"
    download.value.save_as(file)
    assert f"trial-{number}." in download.value.suggested_filename
    assert yaml.safe_load(file.read_text())["recipe"] == 1
    picks.get_by_text("The front in a few points").click()
    expect(picks.get_by_text(re.compile(r"^5 of \d+ points keep"))).to_be_visible()


def test_what_matters_is_shown_beside_what_chance_shows(page: Page, seeded):
    open_job(page, seeded, "News topics with MiniLM")
    matters = page.get_by_role("region", name="What matters")
    expect(matters.get_by_role("listitem").filter(has_text="Learning rate")).to_contain_text("%")
    expect(matters).to_contain_text("of 34 trials")
    open_job(page, seeded, "Just started")
    expect(matters).to_contain_text("20 trials with results; there are 0")
    expect(page.get_by_role("region", name="Points to take")).to_contain_text("There are none before")


def test_hovering_says_the_configuration_and_a_click_opens_the_trial(page: Page, seeded):
    job = open_job(page, seeded, "News topics with MiniLM")
    point = page.get_by_role("region", name="Pareto front").locator(".scatterlayer path.point").last
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".hoverlayer").first).to_contain_text("Trainable parameters:")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url(re.compile(re.escape(job) + r"/trials/\d+"))
    for title in ("What went where", "Why it was tried", "Learning curve", "Evaluations"):
        expect(page.get_by_role("region", name=title)).to_be_visible()


def test_the_front_moves_while_the_search_runs(page: Page, seeded):
    open_job(page, seeded, "Support tickets")
    rows = page.get_by_role("region", name="Trials").locator("tbody tr")
    points = page.get_by_role("region", name="Pareto front").locator(".scatterlayer path.point")
    expect(rows).to_have_count(1)
    before = points.count()
    for _ in range(6):
        seeded.step()
    expect(rows).to_have_count(7)
    expect(points.nth(before)).to_be_attached()


def test_a_search_without_points_says_so(page: Page, seeded):
    open_job(page, seeded, "Just started")
    expect(page.get_by_text("The first baseline takes about a minute")).to_be_visible()
    expect(page.get_by_role("button", name="Export paretune")).to_be_disabled()


def test_a_failed_search_says_why(page: Page, seeded):
    open_job(page, seeded, "Broken data")
    expect(page.get_by_text("line 17 of bbc-news.jsonl is not JSON")).to_be_visible()


def test_a_flat_front_is_called_flat(page: Page, seeded):
    open_job(page, seeded, "A flat one")
    expect(page.get_by_text("nearly flat")).to_be_visible()


def test_many_objectives_offer_axes_and_parallel_coordinates(page: Page, seeded):
    open_job(page, seeded, "Glosses, four objectives")
    front = page.get_by_role("region", name="Pareto front")
    front.get_by_label("Across").click()
    page.get_by_role("option", name="Training memory").click()
    expect(front.get_by_text("Training memory (lower is better)")).to_be_visible()
    expect(front.get_by_role("img", name="All objectives at once")).to_be_visible()


def test_trials_are_filtered_by_words_and_state(page: Page, seeded):
    open_job(page, seeded, "News topics with MiniLM")
    trials = page.get_by_role("region", name="Trials")
    trials.get_by_label("Filter trials").fill("nan")
    expect(trials.locator("tbody tr")).to_have_count(2)
    expect(trials.locator("tbody tr").first).to_contain_text("the learning rate is too high")
    trials.get_by_role("link").first.click()
    expect(page.get_by_text("a lower learning rate helps most often")).to_be_visible()
    expect(page.locator("pre.log")).to_contain_text("step 14: loss nan")


@pytest.mark.parametrize("format_name", ["paretune", "peft"])
def test_the_knee_is_taken_away(page: Page, seeded, tmp_path: Path, format_name: str):
    open_job(page, seeded, "News topics with MiniLM")
    with page.expect_download() as download:
        page.get_by_role("region", name="Knee point").get_by_role("button", name=f"Export {format_name}").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    if format_name == "paretune":
        assert yaml.safe_load(file.read_text())["recipe"] == 1
    else:
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
            assert any(name.endswith("/train.py") for name in archive.namelist())


def test_a_trained_adapter_is_taken_away_where_there_is_one(page: Page, seeded, tmp_path: Path):
    job = open_job(page, seeded, "News topics with MiniLM")
    page.get_by_role("region", name="Knee point").get_by_role("link").click()
    runs = page.get_by_role("region", name="Evaluations")
    expect(runs.get_by_text("of seeds 101 and 102 the best on validation")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export adapter").click()
    file = tmp_path / "adapter.tar"
    download.value.save_as(file)
    assert re.search(r"-trial-\d+-seed-10[12]-adapter\.tar$", download.value.suggested_filename)
    with tarfile.open(file) as packed:
        assert packed.getnames() == ["adapter_config.json"]
    page.goto(f"{seeded.url}{job}")
    page.get_by_role("region", name="Trials").locator("tbody tr").filter(has_text="left early").first.click()
    expect(page.get_by_role("button", name="Export paretune")).to_be_visible()
    expect(page.get_by_role("button", name="Export adapter")).to_be_hidden()


def test_a_wrong_form_shows_each_error_at_its_field(page: Page, seeded):
    page.goto(f"{seeded.url}/submit")
    page.get_by_label("Model folder").fill("/nowhere/model")
    page.get_by_label("Configurations to try").fill("0")
    page.get_by_role("button", name="Start search").click()
    for field, message in (("task.data.path", "name the data file"),):
        expect(page.locator(f".q-field:has([data-field='{field}'])").first).to_contain_text(message)
    page.get_by_label("Data file").fill("/nowhere/data.jsonl")
    page.get_by_role("button", name="Start search").click()
    expect(page.locator(".q-field:has([data-field='budget.trials'])").first).to_contain_text(
        "greater than or equal to 1"
    )
    page.get_by_label("Configurations to try").fill("5")
    page.get_by_role("button", name="Start search").click()
    expect(page.locator(".q-field:has([data-field='model.path'])").first).to_contain_text("outside the folders")
    expect(page.locator(".q-field:has([data-field='task.data.path'])").first).to_contain_text("outside the folders")


def test_earlier_searches_can_be_learned_from(page: Page, seeded):
    job = open_job(page, seeded, "News topics with MiniLM").rpartition("/")[2]
    page.goto(f"{seeded.url}/submit")
    page.get_by_label("Learn from", exact=True).click()
    options = page.get_by_role("option")
    expect(options.filter(has_text="Waiting in line")).to_have_count(0)
    options.filter(has_text="News topics with MiniLM").click()
    page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="Learn from the latest searches of the same model").click()
    page.get_by_role("tab", name="YAML").click()
    box = page.get_by_label("Job as YAML")
    expect(box).to_have_value(re.compile("transfer:"))
    assert yaml.safe_load(box.input_value())["transfer"] == {"jobs": [job], "same_model": True}


def test_yaml_is_taken_and_its_errors_listed(page: Page, seeded):
    page.goto(f"{seeded.url}/submit")
    page.get_by_label("Name of the search").fill("from the form")
    page.get_by_role("tab", name="YAML").click()
    box = page.get_by_label("Job as YAML")
    expect(box).to_have_value(re.compile("name: from the form"))
    box.fill("model: {path: m}\ntask: {data: {path: d.csv}}\nspace: {preset: lora}\nbudgets: {trials: 3}\n")
    page.get_by_role("button", name="Check").click()
    alert = page.get_by_role("alert").filter(has_text="budgets")
    expect(alert).to_contain_text("unknown field")
    box.fill("a: [")
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert").filter(has_text="not YAML")).to_be_visible()


def test_cancelling_asks_first(page: Page, seeded):
    open_job(page, seeded, "Waiting in line")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(page.locator(".chip").first).to_have_text("queued")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the search").click()
    expect(page.locator(".chip").first).to_have_text("cancelled")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the search").click()
    page.wait_for_url(f"{seeded.url}/")
    expect(page.get_by_role("link", name="News topics with MiniLM")).to_be_visible()
    expect(page.get_by_role("link", name="Waiting in line")).to_have_count(0)


def test_what_is_not_there_is_said(page: Page, seeded):
    page.goto(f"{seeded.url}/jobs/none")
    expect(page.get_by_role("heading", name="There is no such search")).to_be_visible()


def test_dark_is_remembered_and_a_narrow_window_fits(page: Page, seeded):
    page.set_viewport_size({"width": 800, "height": 900})
    open_job(page, seeded, "News topics with MiniLM")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 800


def test_a_search_with_sources_shows_whether_their_front_holds(page: Page, seeded):
    open_job(page, seeded, "Reviews, from news topics")
    transfer = page.get_by_role("region", name="Transfer")
    expect(transfer).to_contain_text("transferred configurations dominate a hypervolume of", timeout=20_000)
    expect(transfer).to_contain_text("Accuracy: believed after")
    expect(transfer.get_by_role("link", name="News topics with MiniLM")).to_be_visible()
    expect(transfer.get_by_text("Accuracy in the source")).to_be_visible()
    transfer.get_by_text("Transferred points as a table").click()
    rows = transfer.get_by_role("table", name="Transferred points").locator("tbody tr")
    expect(rows).to_have_count(transfer.locator(".scatterlayer .point").count())
    open_job(page, seeded, "A flat one")
    expect(page.get_by_role("region", name="Trials")).to_be_visible()
    expect(page.get_by_role("region", name="Transfer")).to_have_count(0)
