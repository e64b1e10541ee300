"""requests, one photo after the other, zipfile to disk, boto3's upload_file: the script everybody writes first."""

from __future__ import annotations

import sys
import tempfile
import zipfile

import boto3
import requests
from botocore.config import Config

photos, count, endpoint, bucket, key, _workers = sys.argv[1:]
config = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
with tempfile.NamedTemporaryFile(suffix=".zip") as file, requests.Session() as session:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number in range(int(count)):
            answer = session.get(f"{photos}/{number}.jpg", timeout=60)
            answer.raise_for_status()
            archive.writestr(f"{number}.jpg", answer.content)
    file.flush()
    s3.upload_file(file.name, bucket, key)
