"""Messages in Japanese, as a mail program reads them."""

import collections.abc

import pytest

from kit import sending, smtpd
from mailtier.api import vocabulary

_S = vocabulary.RecipientState
_C = vocabulary.Category
_JAPANESE = vocabulary.Locale.JAPANESE
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


@pytest.mark.parametrize(
    ("category", "subject"),
    [
        (_C.PASSWORD_RECOVERY, "【team-a】パスワード再設定のご案内"),
        (_C.LICENSE_STATUS, "team-a ライセンス有効期限のお知らせ（2026-12-01 12:00 UTC）"),  # noqa: RUF001  # Japanese brackets.
        (_C.PRODUCT_UPDATE, "バージョン 2.1 提供開始のお知らせ"),
        (_C.JOB_ALERT, "【エラー】ジョブ「請求書の夜間一括発行処理」（team-a）"),  # noqa: RUF001
        (_C.ROBOT_ALERT, "【エラー】ロボット「R-07」（team-a）"),  # noqa: RUF001
    ],
)
async def test_japanese_mail_arrives_as_it_was_meant(
    sender: sending.Sender, serve: Serve, category: vocabulary.Category, subject: str
) -> None:
    """Subject, sender's name and both bodies decode to Japanese, and header and page say which language it is."""
    server = await serve()
    name = "株式会社サンプル 自動通知センター（返信はできません）"  # noqa: RUF001
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), from_name=name))
    data = {
        "job": "請求書の夜間一括発行処理",
        "robot": "R-07",
        "version": "2.1",
        "expires": "2026-12-01 12:00 UTC",
        "link": "https://example.org/x?a=1",
    }
    sent = await sender.notify(of, category=category, subject=None, text=None, data=data, locale=_JAPANESE)
    await sender.until(of, sent, _S.ACCEPTED)
    (received,) = server.messages
    assert received.data.isascii()
    assert max(map(len, received.data.split(b"\r\n"))) <= 76
    parsed = received.parsed()
    assert parsed["Subject"] == subject
    assert parsed["From"].addresses[0].addr_spec == "noreply@example.com"
    # The standard library puts a blank between the encoded words of a name, against RFC 2047 section 6.2.
    assert parsed["From"].addresses[0].display_name.replace(" ", "") == name.replace(" ", "")
    assert parsed["Content-Language"] == "ja"
    plain, page = (parsed.get_body((kind,)).get_content() for kind in ("plain", "html"))
    for body in (plain, page):
        assert subject in body
        assert "このメールは team-a に代わって自動送信されています。" in body
        assert " UTC" in body
    assert '<html lang="ja">' in page


async def test_a_japanese_message_in_doubt_is_resent_byte_for_byte(sender: sending.Sender, serve: Serve) -> None:
    """Lost after the dot, it is sent again with the same bytes (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, subject=None, locale=_JAPANESE)
    await sender.until(of, sent, _S.IN_DOUBT)
    sender.skip(301)
    await sender.until(of, sent, _S.ACCEPTED)
    first, second = server.messages
    assert first.data == second.data
    assert second.parsed()["Content-Language"] == "ja"
