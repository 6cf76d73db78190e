"""What customers call things, in English and Chinese: colours, materials, seasons, whom it is for.

A table: field -> value -> `Term`. A shop adds its own words beside it (`words.json`), which win. Fields are
those of the catalogue; an entry counts only where the catalogue has that column. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """A value of a field. `words`: how a request says it; `cells`: what a row says (default: the words);
    `never`: phrases of a row that look like it and are not."""

    words: tuple[str, ...]
    cells: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


def _term(words: str, cells: str = "", never: str = "") -> Term:
    def split(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    return Term(split(words), split(cells), split(never))


TERMS: dict[str, dict[str, Term]] = {
    "colour": {
        "blue": _term("blue, navy blue, 蓝色, 蓝", "blue, navy, indigo, azure, 蓝"),
        "navy": _term("navy, 藏青, 海军蓝", "navy, 藏青"),
        "light blue": _term("light blue, sky blue, 浅蓝, 天蓝", "light blue, sky blue, glacier blue, 浅蓝, 天蓝"),
        "dark blue": _term("dark blue, 深蓝", "dark blue, night blue, navy, ink, 深蓝"),
        "green": _term("green, 绿色, 绿", "green, olive, forest, sage, fern, lime, mint, khaki green, 绿"),
        "dark green": _term("dark green, 深绿, 墨绿", "dark green, forest, 深绿, 墨绿"),
        "red": _term("red, 红色, 红", "red, wine, berry, rust, coral, terracotta, burgundy, crimson, scarlet, 红"),
        "orange": _term("orange, 橙色, 橘色, 橙", "orange, 橙, 橘"),
        "yellow": _term("yellow, 黄色, 黄", "yellow, mustard, 黄"),
        "black": _term("black, 黑色, 黑", "black, 黑"),
        "white": _term("white, 白色, 白", "white, ivory, cream, off-white, 白"),
        "grey": _term("grey, gray, 灰色, 灰", "grey, gray, graphite, slate, anthracite, charcoal, 灰"),
        "brown": _term("brown, 棕色, 褐色, 咖啡色, 棕", "brown, tan, chocolate, 棕, 褐"),
        "beige": _term("beige, sand coloured, 米色, 卡其色", "beige, sand, cream, stone, khaki, 米色, 卡其"),
        "purple": _term("purple, violet, 紫色, 紫", "purple, violet, plum, lilac, lavender, 紫"),
        "pink": _term("pink, 粉色, 粉红", "pink, rose, coral, 粉"),
        "silver": _term("silver, 银色", "silver, 银"),
        "gold": _term("golden, gold, 金色", "gold, golden, brass, 金色"),
        "turquoise": _term("turquoise, teal, 青色, 蓝绿", "turquoise, teal, petrol, 青"),
        "transparent": _term("transparent, clear, see-through, 透明", "clear, transparent, 透明"),
    },
    "material": {
        "leather": _term(
            "leather, real leather, 皮革, 真皮, 皮质, 皮的, 牛皮",
            "leather, suede, nubuck, goatskin, sheepskin, cowhide, calfskin, 皮",
            "synthetic leather, faux leather, imitation leather, vegan leather, leather-free, 人造皮, 人造革, 仿皮",
        ),
        "suede": _term("suede, 麂皮, 绒面革", "suede, 麂皮"),
        "down": _term(
            "down filling, down-filled, down filled, duck down, goose down, feather down, 羽绒, 鸭绒, 鹅绒",
            "down, feather, 羽绒, 鸭绒, 鹅绒",
        ),
        "synthetic": _term(
            "synthetic, synthetic filling, synthetic fill, synthetic insulation, 化纤, 人造纤维, 合成", "synthetic, 化纤",
            "synthetic leather",
        ),
        "merino": _term("merino, merino wool, 美利奴, 美利奴羊毛", "merino, 美利奴"),
        "wool": _term("wool, woollen, woolen, 羊毛, 毛料", "wool, merino, cashmere, 羊毛, 美利奴"),
        "cotton": _term("cotton, 棉, 纯棉, 棉质", "cotton, 棉"),
        "silk": _term("silk, 真丝, 丝绸, 蚕丝", "silk, 丝"),
        "nylon": _term("nylon, polyamide, 尼龙, 锦纶", "nylon, polyamide, silnylon, 尼龙"),
        "polyester": _term("polyester, 聚酯, 涤纶", "polyester, 涤纶, 聚酯"),
        "plastic": _term("plastic, 塑料, 塑胶", "plastic, 塑料"),
        "rubber": _term("rubber, 橡胶", "rubber, 橡胶"),
        "steel": _term("steel, 钢", "steel, 钢"),
        "stainless steel": _term("stainless steel, stainless, 不锈钢", "stainless steel, 不锈钢"),
        "aluminium": _term("aluminium, aluminum, 铝, 铝合金", "aluminium, aluminum, 铝"),
        "titanium": _term("titanium, 钛, 钛合金", "titanium, 钛"),
        "carbon": _term("carbon fibre, carbon fiber, carbon, 碳纤维", "carbon, 碳纤维", "carbon steel"),
        "membrane": _term("membrane, gore-tex, 薄膜", "membrane, gore-tex"),
        "recycled": _term("recycled, recycled material, 再生, 回收材料", "recycled, 再生"),
        "organic": _term("organic, 有机", "organic, 有机"),
    },
    "waterproof": {"yes": _term("waterproof, water-proof, rainproof, rain-proof, in the rain, for the rain, 防水, 防雨, 下雨天")},
    "season": {
        "winter": _term("winter, cold weather, 冬季, 冬天, 冬日, 冬用", "winter, four seasons, all seasons, 冬, 四季"),
        "summer": _term(
            "summer, hot weather, 夏季, 夏天, 夏日, 夏用", "summer, three seasons, four seasons, all seasons, 夏, 三季, 四季"
        ),
        "four seasons": _term(
            "four season, four seasons, 4 season, 4-season, four-season, all season, all-season, year-round, 四季",
            "four seasons, all seasons, 四季",
        ),
        "three seasons": _term(
            "three season, three seasons, 3 season, 3-season, three-season, 三季", "three seasons, four seasons, 三季, 四季"
        ),
    },
    "name": {
        "men": _term("men, men's, mens, man, male, gents, gentlemen, for him, 男款, 男士, 男式, 男装, 男子, 男生, 男", "men, men's, 男"),
        "women": _term(
            "women, women's, womens, woman, female, ladies, lady, for her, 女款, 女士, 女式, 女装, 女子, 女生, 女",
            "women, women's, ladies, 女",
        ),
        "kids": _term(
            "kid, kids, kids', child, children, children's, childrens, junior, toddler, boys, girls, 儿童, 小孩, 孩子, 童款, 童装",
            "kids, junior, children, child, 儿童",
        ),
    },
}  # fmt: skip
TRUE = ("yes", "true", "1", "y", "是", "有", "✓")
FALSE = ("no", "false", "0", "n", "none", "not", "否", "无", "-")
