"""An S3-compatible server with the files of a folder in one bucket; ends when its input does.

`python s3_server.py FOLDER BUCKET`, in the environment `s3`; prints its address.
https://docs.getmoto.org/en/latest/docs/server_mode.html
"""

import pathlib
import sys


def run(folder, bucket):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{address}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=bucket)
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            client.upload_file(str(path), bucket, path.relative_to(folder).as_posix())
    print(address, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    run(*sys.argv[1:])
