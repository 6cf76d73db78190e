"""Make documents/warranty-and-repair.pdf and documents/privacy.docx from the text below.

Run:  python make_documents.py      (needs reportlab and python-docx)

The two files carry a fixed date, so that a new run changes nothing but the text you changed.
"""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENTS = HERE / "documents"

# A line that starts with "# " is a chapter (new page in the PDF), "## " a section,
# "- " a list item, "| " a table row; everything else is one paragraph a line.

WARRANTY = """
# 1. Your rights at a glance
This document explains what happens when something you bought from Ridgeline Outdoor breaks: which warranty applies, how to make a claim, and what our workshop charges for repairs outside the warranty.
## 1.1 Statutory rights
Every new product comes with the statutory two-year liability for defects. If a defect shows within the first 12 months, we assume that it was there from the beginning; after that you may have to show that it was.
The Ridgeline warranty described in chapter 2 is given in addition to your statutory rights and does not limit them.
## 1.2 Who gives which warranty
The Ridgeline warranty applies only to products of our own brand Ridgeline. For other brands the manufacturer's warranty applies; we pass your claim on to the manufacturer free of charge, but the manufacturer decides.
## 1.3 What you need
Keep the invoice or the order number. A claim without any proof of purchase is possible only if we find the purchase in your customer account.
The warranty period starts on the day of delivery or, in a store, on the day of purchase.

# 2. The Ridgeline warranty
## 2.1 How long it lasts
| Product group | Warranty period
| Backpacks and bags | 10 years
| Jackets, trousers and fleeces | 5 years
| Sleeping bags | 5 years
| Tents, including poles | 3 years
| Boots and shoes | 2 years
| Stoves and cookware | 4 years
| Lamps and other electronics | 2 years
| Rechargeable batteries and power banks | 1 year
For products used commercially, for example for rental, in mountain schools or by guides, the warranty period is 12 months for all product groups.
## 2.2 What is covered
The warranty covers faults in material and workmanship, such as seams that open, zips that fail, membranes that come loose and poles that break under normal use.
If a tent pole breaks in a storm, we replace the broken section free of charge once during the warranty period; the next one is charged at the repair price.
## 2.3 What is not covered
- Normal wear, such as worn soles, thinned fabric or flattened insulation, is not covered.
- Damage from sunlight is not covered if a tent was left standing for more than 60 days in a season.
- Damage from wrong washing, from heat or open fire, from animals and from mildew is not covered.
- The warranty ends if the product was altered or repaired by anyone other than our workshop or a workshop that we named in writing. Patches you stick on yourself do not count as a repair.
- Items from the Offenburg outlet marked "second choice" have no Ridgeline warranty; the statutory rights remain.
## 2.4 Second owners
The warranty goes with the product. If you bought it second-hand, you can claim as long as you have the original invoice; private sellers do not need to tell us. Renew items bought from us have a warranty of 12 months.

# 3. Making a claim
## 3.1 Steps
Fill in the claim form in your account and add at least two photos: one of the whole product and one of the fault. We decide within 10 working days after we have received the product.
Please send the product clean and dry. If we have to clean it before we can work on it, we charge €15.00, even when the claim is accepted.
## 3.2 Who pays for shipping
For warranty claims from Germany and Austria we send you a free label.
From all other countries you pay for sending the product in, and we reimburse up to €15.00 if the claim is accepted. Sending the product back to you is always free when the claim is accepted.
If the claim is rejected, you can have the product sent back for €8.50, have it repaired at the repair price, or ask us to recycle it.
## 3.3 What you get
We repair first. If a repair is not possible or would take longer than 30 days, we replace the product.
If the model is no longer made, you get an equivalent model or, if you prefer, a gift card for the price you paid. We do not pay out cash under the Ridgeline warranty.
The warranty period does not start again after a repair. A replacement product is covered for the rest of the original period, but for at least 12 months.
## 3.4 Loan tent
While your own tent is in our workshop you can borrow one. The loan tent is free for Ridge Club members and costs €25.00 a week for everyone else. In both cases we ask for a deposit of €100.00. Loan tents can be collected in Freiburg only and are not posted.

# 4. Repairs outside the warranty
## 4.1 What we repair
Our workshop in Freiburg repairs products of all brands that we sell or have sold, whether or not you bought them from us.
We never repair ropes, harnesses, helmets, slings or other climbing safety equipment. Inflatable mats are repaired only if the leak is not at the valve.
## 4.2 Prices
| Repair | Price
| Zip slider replaced | €12.00
| Full zip of a jacket replaced | €45.00
| Full zip of a tent door replaced | €58.00
| Tent pole section replaced | €14.00
| Tent seams sealed again | €49.00
| Patch up to 10 cm | €9.00
| Boots resoled | €79.00
| Stove cleaned and checked | €25.00
| Down jacket washed and dried | €29.00
| Down sleeping bag washed and dried | €35.00
Ridge Club members get 20 percent off these prices, except for boot resoling.
Boots can be resoled only if the product page or the tongue label says "resoleable", and only while the upper is sound. Boots of the brand Montalba are resoled by the maker, which takes about 6 weeks.
## 4.3 Cost estimate
You get a cost estimate before we start, unless the repair costs less than €30.00. The estimate is free. If you decline it, we charge €8.50 for sending the product back.
An estimate is valid for 30 days. If we hear nothing within 60 days, we send the product back at your expense.
## 4.4 How long it takes
A repair takes up to 15 working days from arrival in the workshop. From March to May it can take up to 25 working days. We offer no express repair.
Postage for repairs outside the warranty is €4.90 each way in Germany. It is free if you hand the product in at a store that offers repair drop-off.
## 4.5 Warranty on repairs
Our work is guaranteed for 12 months. The guarantee covers the repaired part, not the rest of the product.

# 5. Spare parts and safety notices
## 5.1 Spare parts
We keep spare parts for Ridgeline stoves, tent poles and lamps for 10 years after a model has been discontinued. For buckles and straps of backpacks it is 15 years.
Buckles, cord locks and tent pegs are sent free of charge, up to a value of €5.00 per order; you pay only the postage of €1.90.
## 5.2 Do it yourself
Repair guides are enclosed with each spare part. A part you fit yourself does not end the warranty, except on stoves and on climbing safety equipment.
## 5.3 Recalls
If a product is recalled, we write to everyone who bought it, even to customers who have switched off our newsletter. Stop using the product at once. We refund the full price regardless of its age, and no invoice is needed.
## 5.4 Service life of safety equipment
Ropes, harnesses and slings should be replaced 10 years after the date of manufacture at the latest, even if they have never been used, and at once after a hard fall.
Helmets should be replaced after a strong impact even if no damage can be seen.
"""

PRIVACY = """
# Privacy notice
This notice tells you which personal data Ridgeline Outdoor processes, why, and for how long. It applies to the web shop, the stores and the customer service.
## Who is responsible
Ridgeline Outdoor GmbH, Rotlaubweg 12, 79106 Freiburg, Germany, is responsible for the processing. You can reach our data protection officer at privacy@ridgeline-outdoor.example.
## Orders and customer account
We need your name, address, e-mail address and order contents to carry out an order. Your telephone number is optional, except for bulky items, where the forwarding agent has to call you.
Invoices and order records are kept for 10 years because tax law requires it. They cannot be deleted earlier, even if you close your account.
You can order as a guest without an account. Guest data are used for that order only.
If you ask us to delete your account, we do so within 30 days, provided no order, return or repair is still open.
An account that has not been used for 36 months is deleted automatically. We send an e-mail 4 weeks before that happens.
You must be at least 16 years old to open an account.
## Payment data
We do not store card numbers. They are entered directly with our payment provider, and we see only the last four digits.
A credit check is made only if you choose to pay on invoice or in instalments. If it turns out negative, we offer you the other payment methods; we do not learn the reasons.
## Newsletter
We send the newsletter only if you have signed up and confirmed your address. You can unsubscribe at any time through the link in each issue, and your address is removed from the list within 14 days.
We measure whether a newsletter was opened only if you have agreed to it separately.
## Customer service
Chat conversations are deleted after 90 days. If they belong to a complaint, we keep them for 3 years.
Telephone calls are not recorded.
E-mails to customer service are kept for 2 years after the case has been closed.
## Who receives data
We do not sell personal data. We pass your address to the carrier for the delivery; your e-mail address is passed on only if you agree to delivery notices.
For warranty claims on products of other brands, the manufacturer receives the description of the fault and the photos, but not your name, unless the product is sent back to you directly.
Our servers are in Germany and Finland. Data leave the European Economic Area only for customs papers on deliveries to Switzerland and the United Kingdom.
## Video in the stores
The sales areas in Freiburg, Munich and Hamburg are filmed. Recordings are overwritten after 72 hours unless an incident has to be investigated. Changing rooms and the climbing wall are not filmed.
## Cookies
Necessary cookies keep the shopping basket and the login. Analytics cookies are set only with your consent and expire after 13 months; you can withdraw the consent in the footer of every page.
## Product reviews
Reviews appear with your first name and the initial of your last name. You can choose a different display name. A review can be withdrawn at any time; we do not publish reviews by people who have not bought the product from us.
## Job applications
Application documents are deleted 6 months after the decision, unless you agree to be kept in the applicant pool for up to 2 years.
## Your rights
You can ask for a copy of your data, have them corrected or deleted, and object to their use. We answer within one month. The first two requests in 12 months are free; for further ones we may charge €10.00.
To protect you, we answer such requests only from the e-mail address stored in your account or after you have proved your identity.
You can complain to the data protection authority of Baden-Wuerttemberg or to the one at your place of residence.
"""


def blocks(text: str):
    """Yield (kind, text) for every block; consecutive table rows come as one list."""
    rows: list[list[str]] = []
    for line in [*text.strip().splitlines(), ""]:
        line = line.strip()
        if line.startswith("| "):
            rows.append([cell.strip() for cell in line[2:].split("|")])
            continue
        if rows:
            yield "table", rows
            rows = []
        for prefix, kind in (("# ", "chapter"), ("## ", "section"), ("- ", "item")):
            if line.startswith(prefix):
                yield kind, line[len(prefix) :]
                break
        else:
            if line:
                yield "text", line


def make_pdf(path: Path) -> None:
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.platypus import (
        KeepTogether,
        PageBreak,
        Paragraph,
        SimpleDocTemplate,
        Spacer,
        Table,
        TableStyle,
    )

    base = getSampleStyleSheet()
    text = ParagraphStyle("text", parent=base["BodyText"], fontSize=10.5, leading=15, spaceAfter=6)
    bullet = ParagraphStyle("bullet", parent=text, leftIndent=14, bulletIndent=2)
    chapter = ParagraphStyle("chapter", parent=base["Heading1"], fontSize=17, spaceAfter=10)
    section = ParagraphStyle("section", parent=base["Heading2"], fontSize=12.5, spaceBefore=10)
    title = ParagraphStyle("title", parent=base["Title"], fontSize=22, spaceAfter=18)

    story = [Paragraph("Warranty and repair", title)]
    first = True
    for kind, content in blocks(WARRANTY):
        if kind == "chapter":
            if not first:
                story.append(PageBreak())
            first = False
            story.append(Paragraph(content, chapter))
        elif kind == "section":
            story.append(Paragraph(content, section))
        elif kind == "item":
            story.append(KeepTogether([Paragraph(content, bullet, bulletText="-")]))
        elif kind == "table":
            table = Table(content, hAlign="LEFT", colWidths=[9 * cm, 4 * cm])
            table.setStyle(
                TableStyle(
                    [
                        ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
                        ("FONTSIZE", (0, 0), (-1, -1), 10),
                        ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
                        ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
                    ]
                )
            )
            story += [table, Spacer(1, 8)]
        else:
            # A sentence must not be torn apart by a page break.
            story.append(KeepTogether([Paragraph(content, text)]))

    def footer(canvas, document):
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2.2 * cm, 1.2 * cm, f"Ridgeline Outdoor - Warranty and repair - page {document.page}")

    SimpleDocTemplate(
        str(path),
        pagesize=A4,
        leftMargin=2.2 * cm,
        rightMargin=2.2 * cm,
        topMargin=2 * cm,
        bottomMargin=2 * cm,
        title="Warranty and repair",
        author="Ridgeline Outdoor",
        invariant=1,
    ).build(story, onFirstPage=footer, onLaterPages=footer)


def make_docx(path: Path) -> None:
    import docx

    document = docx.Document()
    when = datetime.datetime(2025, 3, 1)
    document.core_properties.title = "Privacy notice"
    document.core_properties.author = "Ridgeline Outdoor"
    document.core_properties.created = when
    document.core_properties.modified = when
    for kind, content in blocks(PRIVACY):
        if kind == "chapter":
            document.add_heading(content, level=1)
        elif kind == "section":
            document.add_heading(content, level=2)
        else:
            document.add_paragraph(content)
    buffer = io.BytesIO()
    document.save(buffer)
    # The ZIP entries get a fixed date, so that equal text gives an equal file.
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            entry = zipfile.ZipInfo(name, date_time=(2025, 3, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, source.read(name))


if __name__ == "__main__":
    make_pdf(DOCUMENTS / "warranty-and-repair.pdf")
    make_docx(DOCUMENTS / "privacy.docx")
