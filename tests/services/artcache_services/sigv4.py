# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4, enough for path-style S3 requests."""
import datetime
import hashlib
import hmac
import http.client
from typing import Dict, Tuple
from urllib.parse import quote, urlsplit


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def request(s3: Dict[str, str], method: str, path: str, body: bytes = b"",
            extra: Dict[str, str] = None, timeout: float = 60,
            query: Dict[str, str] = None) -> Tuple[int, bytes]:
    """s3 holds endpoint, access_key, secret_key and region; path and query are not encoded yet."""
    host = urlsplit(s3["endpoint"]).netloc
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
    headers.update({name.lower(): value for name, value in (extra or {}).items()})
    names = ";".join(sorted(headers))
    encoded = quote(path, safe="/-_.~")
    asked = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
                     for name, value in sorted((query or {}).items()))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    canonical = f"{method}\n{encoded}\n{asked}\n{lines}\n{names}\n{digest}"
    scope = f"{now[:8]}/{s3['region']}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n" + hashlib.sha256(canonical.encode()).hexdigest()
    key = ("AWS4" + s3["secret_key"]).encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={s3['access_key']}/{scope}, "
                                f"SignedHeaders={names}, Signature={_hmac(key, to_sign).hex()}")
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request(method, f"{encoded}?{asked}" if asked else encoded, body or None,
                           headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
