#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for the person at the browser: opens the sign-in page given on standard input's first
line, types the e-mail and password of the demonstration, and prints the link back to the client.

usage: browser.py E-MAIL PASSWORD < URL-line
"""
import html.parser
import http.cookiejar
import sys
import urllib.error
import urllib.parse
import urllib.request

SCHEME = "firezone-fd0020211111:"


class Forms(html.parser.HTMLParser):
    """All forms of a page as (action, method, {field: value})."""

    def __init__(self):
        super().__init__()
        self.forms = []
        self.refresh = None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self.forms.append((attrs.get("action", ""), attrs.get("method", "get").lower(), {}))
        elif tag == "input" and self.forms and attrs.get("name"):
            self.forms[-1][2][attrs["name"]] = attrs.get("value", "")
        elif tag == "meta" and attrs.get("http-equiv", "").lower() == "refresh":
            self.refresh = attrs.get("content", "").split("url=", 1)[-1].strip("'\" ")


class DeepLink(Exception):
    pass


class NoForeignScheme(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(self, req, fp, code, msg, headers):
        target = headers.get("Location", "")
        if target.startswith(SCHEME):
            raise DeepLink(target)
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_302


def main():
    user, password = sys.argv[1:3]
    url = sys.stdin.readline().strip()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), NoForeignScheme(),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    data = None
    for _ in range(8):
        with opener.open(url, data=data, timeout=10) as answer:
            page = answer.read().decode()
            url = answer.geturl()
        data = None
        forms = Forms()
        forms.feed(page)
        for action, method, fields in forms.forms:
            if method == "post" and "userpass[secret]" in fields:
                fields["userpass[idp_id]"] = user
                fields["userpass[secret]"] = password
                data = urllib.parse.urlencode(fields).encode()
                url = urllib.parse.urljoin(url, action)
                break
        else:
            if not forms.refresh:
                sys.exit("the page has neither a sign-in form nor a way on")
            url = urllib.parse.urljoin(url, forms.refresh)
    sys.exit("too many pages")


if __name__ == "__main__":
    try:
        main()
    except DeepLink as link:
        print(link)
    except urllib.error.URLError as error:
        sys.exit(f"browser: {error}")
