"""`kinetics-i3d scale`: compute features, flow or labels, or prepare records, on many machines.

`scale features|flow|classify|prepare INPUT --output OUTPUT` does to each video what the verb of
that name does, using Ray on this machine or, with --address, on a cluster. Each video is a separate
unit of work: if a process or a machine is killed, nothing is lost or duplicated, and rerunning the
command computes what is missing. Videos that cannot be read are listed in failures.parquet: exit
code 1 if there are any, 2 if none could be read.
"""

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_dataset_arguments,
    add_decoder_argument,
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    add_streams_argument,
    add_weights_arguments,
    chosen_weights,
    count,
    print_result,
    read_dataset,
    read_labels_option,
)
from kinetics_i3d.cli.console import complain, load_keras
from kinetics_i3d.cli.features import add_feature_arguments, feature_options
from kinetics_i3d.cli.flow import add_flow_arguments, flow_choice
from kinetics_i3d.cli.prepare import (
    SHOWN,
    add_record_arguments,
    add_split_arguments,
    of_splits,
    prepare_config,
    report,
)
from kinetics_i3d.core.errors import UserError

EXAMPLES = (
    "kinetics-i3d scale features my_videos --output my_features --window 64",
    "kinetics-i3d scale classify s3://bucket/videos --output s3://bucket/labels --address auto",
)
WORKS = {
    "features": "features of each window with its start and end, as `features` computes them",
    "flow": "flow files, as `flow` writes them",
    "classify": "labels with their probabilities, as `classify` prints them",
    "prepare": "records for training, as `prepare` writes them",
}


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    works = parser.add_subparsers(dest="work", metavar="WORK", required=True)
    for name, text in WORKS.items():
        examples = (
            f"kinetics-i3d scale {name} my_videos --output my_output",
            f"kinetics-i3d scale {name} /shared/videos --output /shared/output --address auto",
        )
        work = works.add_parser(name, help=text, description=f"Compute {text}.", examples=examples)
        if name == "prepare":
            add_split_arguments(add_dataset_arguments(work))
        else:
            work.add_argument(
                "source",
                metavar="INPUT",
                help=f"{SOURCES}; or the address of a video or of a folder (s3://bucket/videos)",
            )
        add_output_argument(
            work,
            "FOLDER",
            "folder or address for the results; for records, a folder that all nodes share",
            required=True,
            former_word=True,
        )
        _ADD[name](work)
        add_decoder_argument(work, default=True)
        _add_cluster_arguments(work, networks=name in ("features", "classify"))
        add_json_argument(work)


def _add_network_arguments(parser):
    add_weights_arguments(parser, default="the same as for the verb without `scale`")
    add_streams_argument(
        parser,
        purpose="streams to read; flow is computed where no flow file exists",
        default_text="those of the weights",
    )


def _add_features(parser):
    _add_network_arguments(parser)
    add_feature_arguments(parser)


def _add_classify(parser):
    _add_network_arguments(parser)
    parser.add_argument(
        "--top", type=count, default=5, metavar="N", help="number of labels per video"
    )
    add_labels_argument(parser)


_ADD = {
    "features": _add_features,
    "flow": add_flow_arguments,
    "classify": _add_classify,
    "prepare": add_record_arguments,
}


def _add_cluster_arguments(parser, *, networks):
    group = parser.add_argument_group("cluster")
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="head node of a running Ray cluster, or auto on one of its nodes (default: the "
        "variable RAY_ADDRESS, or only this machine)",
    )
    if not networks:
        return
    group.add_argument(
        "--networks",
        type=count,
        metavar="N",
        help="maximum number of processes that hold a network (default: one per GPU; without "
        "GPUs, as many as fit on all processors but one)",
    )
    group.add_argument(
        "--network-cpus",
        type=count,
        default=1,
        metavar="N",
        help="processors of each of these processes",
    )
    group.add_argument(
        "--network-gpus",
        type=float,
        metavar="N",
        help="GPUs of each of these processes, such as 0.5 (default: 1 if the cluster has any)",
    )


def run(options):
    """Does the work and prints the number of finished videos; returns the exit code."""
    from kinetics_i3d.scale.cluster import Cluster
    from kinetics_i3d.scale.storage import require

    require("ray", "pyarrow")
    cluster = Cluster(
        options.address,
        getattr(options, "networks", None),
        getattr(options, "network_cpus", 1),
        getattr(options, "network_gpus", None),
        options.bounded_decoder,
    )
    if options.work == "prepare":
        return _prepare(options, cluster)
    return _run(options, cluster)


def _run(options, cluster):
    from kinetics_i3d.scale.run import run
    from kinetics_i3d.scale.storage import find_inputs, open_storage

    open_storage(options.output)  # reports a wrong address before the network is loaded
    find_inputs(options.source)
    result = run(_work(options), options.source, options.output, cluster=cluster)
    failures = list(result.failures.items())
    for video, error in failures[:SHOWN]:
        complain(UserError(error if video in error else f"{video}: {error}"))
    if len(failures) > SHOWN:
        more = len(failures) - SHOWN
        complain(UserError(f"{more} more videos failed; failures.parquet lists all of them"))
    text = f"{result.output}: {result.made} made, {result.kept} kept, {len(failures)} failed"
    print_result(options, text, result.to_dict())
    if not failures:
        return 0
    return 1 if result.made or result.kept else 2


def _work(options):
    """The work of the options, with its network checked."""
    if options.work == "flow":
        from kinetics_i3d.scale.flow_work import FlowWork

        return FlowWork(*flow_choice(options))
    from kinetics_i3d.weights.read import fetch_weights

    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    load_keras()
    from kinetics_i3d.scale.works import ClassifyWork, FeatureWork

    if options.work == "features":
        return FeatureWork.create(weights, feature_options(options, {}))
    labels = read_labels_option(options)
    return ClassifyWork.create(weights, streams=options.streams, top=options.top, labels=labels)


def _prepare(options, cluster):
    from kinetics_i3d.scale.prepare import prepare_on_cluster

    config = prepare_config(options)
    dataset = of_splits(read_dataset(options), options.split)
    load_keras()
    return report(options, prepare_on_cluster(dataset, options.output, config, cluster=cluster))
