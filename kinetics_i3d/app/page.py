"""`make_app`: the web page and its HTTP API, by Gradio, https://www.gradio.app.

Nothing is fetched from other servers, nothing is reported to them, and networks run one at a time.
"""

from kinetics_i3d.app import markup
from kinetics_i3d.app.analysis import analyze, check_file, without_folders
from kinetics_i3d.app.examples import WEIGHTS, write_examples
from kinetics_i3d.app.guard import KEEP, Guard
from kinetics_i3d.app.limits import Limits
from kinetics_i3d.app.networks import Networks
from kinetics_i3d.app.server import load_gradio
from kinetics_i3d.core.errors import UserError

TITLE = "Actions in a video"
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
_MONOSPACE = ("ui-monospace", "Consolas", "DejaVu Sans Mono", "monospace")
_CLEAN_EVERY = 300  # seconds
_NETWORK = "network"  # the queue of all functions that run a network


def make_app(networks: Networks, *, limits: Limits, queue: int, uploads, examples):
    """Builds the ASGI application of the page.

    Args:
        networks: The `Networks` to choose from.
        limits: `Limits` of a file.
        queue: Maximum number of requests that wait; more are refused.
        uploads: The folder of uploads, as yielded by `upload_folder`.
        examples: The folder of examples, too.

    Returns:
        An ASGI application.

    Raises:
        UserError: If Gradio is not installed.
    """
    gradio = load_gradio()
    import fastapi

    blocks = _make_blocks(gradio, networks, limits, write_examples(examples))
    blocks.queue(max_size=queue, default_concurrency_limit=1)
    # Its pages of documentation would load scripts from other servers.
    outer = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app = gradio.mount_gradio_app(
        outer,
        blocks,
        path="/",
        show_error=False,  # errors of this package are shown anyway; others would show paths
        max_file_size=limits.size,
        allowed_paths=[str(examples)],
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=gradio.themes.Default(primary_hue="blue", font=_FONTS, font_mono=_MONOSPACE),
        css=markup.style(),
    )
    return Guard(app, folder=uploads, size=limits.size)


def _make_blocks(gradio, networks, limits, examples):
    names = networks.names
    compared = [names[0], names[1] if len(names) > 1 else names[0]]
    actions = _Actions(gradio, networks, limits)

    def video(label="Video"):
        return gradio.Video(label=label, sources=["upload", "webcam"])

    def choice(label, value):
        return gradio.Dropdown(names, value=value, label=label)

    with gradio.Blocks(
        title=TITLE,
        analytics_enabled=False,
        delete_cache=(_CLEAN_EVERY, KEEP),
        fill_width=True,
    ) as blocks:
        _add_api(gradio, actions, names)  # first: later endpoints of the same name get a number
        gradio.Markdown(
            f"# {TITLE}\nWhat a network recognizes, when, and where it looks. At most {limits}."
        )
        with gradio.Tab("Classify"):
            with gradio.Row():
                with gradio.Column(scale=5, min_width=300):
                    upload = video()
                    gradio.HTML(markup.examples_html(), visible=WEIGHTS in names)
                    with gradio.Row(elem_classes="ki-examples", visible=WEIGHTS in names):
                        buttons = {name: gradio.Button(name, size="sm") for name in examples}
                    weights = choice("Network", names[0])
                    start = gradio.Button("Name the action", variant="primary")
                with gradio.Column(scale=6, min_width=300):
                    results = gradio.HTML(markup.empty_html())
            pictures = gradio.HTML()
        with gradio.Tab("Compare"):
            with gradio.Row():
                with gradio.Column(scale=5, min_width=300):
                    shared = video()
                with gradio.Column(scale=6, min_width=300):
                    left, right = (
                        choice("First network", compared[0]),
                        choice("Second network", compared[1]),
                    )
                    compare = gradio.Button("Compare", variant="primary")
            comparison = gradio.HTML()
        with gradio.Tab("Doctor"):
            gradio.Markdown(
                "Checks a video, or a clip as `.npy` or `.npz`, for mistakes of preprocessing."
            )
            with gradio.Row():
                with gradio.Column(scale=5, min_width=300):
                    checked = gradio.File(
                        label="Video or array", file_types=["video", ".npy", ".npz"], height=140
                    )
                    target = choice("Network that will read it", names[0])
                    check = gradio.Button("Check", variant="primary")
                with gradio.Column(scale=6, min_width=300):
                    report = gradio.HTML()

        network = {"concurrency_id": _NETWORK, "concurrency_limit": 1, "api_visibility": "private"}
        hidden = {"api_visibility": "private"}
        shown = [results, pictures]
        start.click(actions.classify, [upload, weights], shown, **network)
        for name, button in buttons.items():
            path = str(examples[name])
            button.click(
                lambda path=path: (path, WEIGHTS), None, [upload, weights], queue=False, **hidden
            ).then(actions.classify, [upload, weights], shown, **network)
        compare.click(actions.compare, [shared, left, right], comparison, **network)
        check.click(actions.check, [checked, target], report, concurrency_id="doctor", **hidden)
    return blocks


def _add_api(gradio, actions, names):
    """Adds the endpoints of the HTTP API, with components that the page does not show."""
    video = gradio.Video(visible=False, label="video")
    file = gradio.File(visible=False, label="file")
    # Accepts any text: unknown weights are refused by this package, not by Gradio.
    weights = gradio.Dropdown(
        names, value=names[0], visible=False, label="weights", allow_custom_value=True
    )
    result, trigger = gradio.JSON(visible=False), gradio.Button(visible=False)
    trigger.click(
        actions.classify_api,
        [video, weights],
        result,
        api_name="classify",
        api_description="Predictions of a video, over time where it is longer than a window.",
        concurrency_id=_NETWORK,
        concurrency_limit=1,
    )
    trigger.click(
        actions.check_api,
        [file, weights],
        result,
        api_name="doctor",
        api_description="The findings of the doctor about a video or an array.",
        concurrency_id="doctor",
    )


class _Actions:
    """The functions behind the buttons of the page and the endpoints of the API."""

    def __init__(self, gradio, networks, limits):
        self._gradio, self._networks, self._limits = gradio, networks, limits

    def classify(self, video, name):
        """Yields the HTML of the results and of the pictures, as they become known."""
        try:
            for analysis in self._analyze(video, name):
                yield markup.results_html(analysis), markup.pictures_html(analysis)
        except UserError as error:
            yield markup.error_html(without_folders(str(error))), ""

    def compare(self, video, *names):
        """Yields the HTML of the comparison of networks."""
        analyses = [None] * len(names)
        try:
            for number, name in enumerate(names):
                for analysis in self._analyze(video, name, pictures=False, over_time=False):
                    analyses[number] = analysis
                yield markup.comparison_html(analyses)
        except UserError as error:
            yield markup.error_html(without_folders(str(error)))

    def check(self, file, name):
        """The HTML of the doctor's report."""
        try:
            return markup.report_html(self._check(file, name))
        except UserError as error:
            return markup.error_html(without_folders(str(error)))

    def classify_api(self, video, weights):
        """The last analysis as a dictionary."""
        try:
            *_, analysis = self._analyze(video, weights, pictures=False)
        except UserError as error:
            raise self._error(error) from error
        return analysis.to_dict()

    def check_api(self, file, weights):
        """The doctor's report as a dictionary."""
        try:
            report = self._check(file, weights).to_dict()
        except UserError as error:
            raise self._error(error) from error
        # Clients would download a "path".
        return {"name": report.pop("path"), **report}

    def _error(self, error):
        return self._gradio.Error(without_folders(str(error)), print_exception=False)

    def _analyze(self, video, name, **options):
        if video is None:
            raise UserError("Choose, record or upload a video first")
        model = self._networks.load(name)
        yield from analyze(video, model, weights=name, limits=self._limits, **options)

    def _check(self, file, name):
        if file is None:
            raise UserError("Upload a video or an array first")
        weights = self._networks.rgb_weights(name)
        return check_file(file, weights=weights, limits=self._limits)
