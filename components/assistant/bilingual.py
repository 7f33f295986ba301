"""Chinese retail and dialogue words, and the English the rules read in their place.

`CHINESE_PATTERNS` put word order right (Chinese says "100 euros below"); they run first.
`CHINESE_WORDS` are then replaced, longest first. A word of the shop's own catalogue wins where the
catalogue carries Chinese titles: those are matched on the original message.
"""

# ruff: noqa: E501  (a table of words: one line per group reads best)

_N = r"(\d[\d.,]*\d|\d|[零〇一二两三四五六七八九十百千万]+)"
_CUR = r"\s*(欧元|欧|美元|美金|英镑|镑|日元|日圆|人民币|元钱|块钱|元|块|刀|€|\$|£|eur|usd|gbp|cny|rmb|jpy|euros?|dollars?)?"
_COUPON = r"(?:优惠[券卷]|折[扣价]券|代金券|购物券|抵用券|券)"

CHINESE_PATTERNS: tuple[tuple[str, str], ...] = (
    (
        r"不知道(?:要|该|应该)?(?:买|送|选|挑)?(?:什么|啥|哪个|哪种)(?:好)?",
        " don't know what to buy ",
    ),
    (
        r"(?:想|要|打算)?(?:给|送)(?:给)?(?:我的?)?([\u3400-\u9fff]{1,4}?)(?:买|送|挑|选)?(?:一?[份个件]|点|些)?(?:生日|新年|圣诞|节日)?(?:礼物|礼品)",
        r" recommend a gift for \1 ",
    ),
    (
        rf"(?:把|将)(.{{0,8}}?){_COUPON}(?:都|全)?(?:用上|用了|用掉|用在|使用|加上)",
        r" apply \1 coupon ",
    ),
    (
        r"(?:(?:我的?)?(?:手上|手里)?有?(?:的)?(?:哪些|哪张|哪几张|哪个|什么)(?:优惠券|优惠|折扣券|折扣|代金券|券)|(?:我的?)?(?:优惠券|优惠|折扣券|代金券|券)(?:里|中)?有?(?:哪些|哪张|哪几张|什么)|(?:有没有|有什么)?(?:优惠券|优惠|折扣券|代金券))(?:可以|可|能够|能)?(?:使?用[在于到]?|适用于?|适合|符合)(?:我的?)?(?:这个|这次|当前的?|现在的?)?(?:购物车|购物篮|篮子)(?:里的?|中的?)?(?:东西|商品)?(?:上|里)?",
        " which of my coupons fit this basket ? ",
    ),
    (
        r"(?:我的?)?(?:这个|当前的?|现在的?)?(?:购物车|购物篮|篮子)(?:里的?|中的?)?(?:东西|商品)?(?:可以|可|能够|能|有)?(?:使?用|适用|享受|符合)?(?:哪些|哪张|哪几张|什么)(?:优惠券|优惠|折扣券|折扣|代金券|券)(?:可以|能)?(?:使?用)?",
        " which of my coupons fit this basket ? ",
    ),
    (
        r"(?:我的?)?(?:这个|当前的?|现在的?)?(?:购物车|购物篮|篮子)(?:里的?|中的?)?(?:东西|商品)?(?:现在)?(?:有没有|能不能用|可不可以用|有|能用|可以用)(?:什么)?(?:优惠券|优惠|折扣券|折扣|代金券)(?:可以用|能用|可用)?(?:吗|么|嘛)?",
        " which of my coupons fit this basket ? ",
    ),
    (
        r"(?:我)?(?:一共|总共)?(?:可以|能够|能|会)(?:帮我|给我)?(?:省|节省|节约|少付)(?:下)?多少(?:钱)?",
        " what would i save ? ",
    ),
    (r"有没有|有无|有没", " do you have "),
    (r"(\d)\s*刀(?!具)", r"\1美元"),
    (
        r"(?:你|您|你们|咱们店?|系统|店里)?(?:现在)?(?:还|都|到底)*(?:保存|存储|存|储存|记录|记得|记住|掌握|收集|知道|了解|留着|留有|有)(?:了|着|的)*(?:哪些|什么|多少)?(?:关于|有关)?我(?:的)?(?:哪些|什么|多少)?(?:个人)?(?:信息|资料|数据|情况|事情|事|什么|内容|记录|偏好|东西)(?:信息|资料|数据)?",
        " what do you know about me ",
    ),
    (
        r"(?:我的)?(?:哪些|什么)(?:个人)?(?:信息|资料|数据)(?:被)?(?:保存|记录|存)",
        " what do you know about me ",
    ),
    (
        r"(?:全部|全都|通通|统统|所有(?:的)?|一切)(?:都|给我|信息|资料|数据|记录)*(?:删除|删掉|删了|清除|清掉|抹掉|忘掉|忘记)",
        " delete everything ",
    ),
    (
        r"(?:把|将)?(?:这些|它们|我的(?:信息|资料|数据|记录)|所有(?:信息|资料|数据|记录)|关于我的一切)(?:全部|都|全)?(?:删除|删掉|删了|清除|清掉|抹掉|忘掉|忘记)",
        " forget me ",
    ),
    (
        r"(?:只|就)(?:要|需要|买|来)\s*([一二两三四五六七八九十\d]+)\s*(?:个|件|双|款|台|只|瓶|包|副|盒|条|把|块|袋|罐|支|张|顶|套|份)(?!\s*[\u3400-\u9fff])",
        r" make it \1 ",
    ),
    (
        r"(?:再|多)(?:来|加|要|买|拿)\s*([一二两三四五六七八九十\d]+)\s*(?:个|件|双|款|台|只|瓶|包|副|盒|条|把|块|袋|罐|支|张|顶|套|份)(?!\s*[\u3400-\u9fff])",
        r" add \1 more ",
    ),
    (
        r"(?:少|减)(?:来|要|掉|去)?\s*([一二两三四五六七八九十\d]+)\s*(?:个|件|双|款|台|只|瓶|包|副|盒|条|把|块|袋|罐|支|张|顶|套|份)",
        r" \1 fewer ",
    ),
    (
        r"(?:数量|个数|件数)?(?:改|换|变|调|设)(?:成|为|到)\s*([一二两三四五六七八九十\d]+)\s*(?:个|件|双|款|台|只|瓶|包|副|盒|条|把|块|袋|罐|支|张|顶|套|份)?(?=$|[，。！,.!吧])",
        r" make it \1 ",
    ),
    (
        r"(?:挑|选|找|推荐|买)(?:一?[个份件]|点|些)?(?:什么|合适的|好的|适合的)?(?:生日|新年|圣诞|节日)?礼物",
        " recommend a gift ",
    ),
    (
        r"(?:恢复|回到|变回|改回)(?:成|到)?(?:刚才|之前|原来|上一步|先前)(?:的)?(?:样子|状态)?",
        " undo ",
    ),
    (
        r"(?:刚才|上一步|刚刚)(?:的|那个)?(?:操作|修改)?(?:不算|作废|取消|撤销)|放回来|加回来|放回去|加回去",
        " undo ",
    ),
    (
        r"(?:看看|查看|打开|显示)?(?:我的)?(?:购物车|篮子)(?:里)?(?:有|都有|装了)?(?:什么|哪些|啥)",
        " show my basket ",
    ),
    (r"(?:一共|总共|合计)(?:是|要|得)?多少(?:钱)?", " what is the total "),
    (
        r"(?:有没有|有|是否有)?(?:什么)?(?:优惠|折扣|促销|打折|活动)(?:吗|么|没有|没)",
        " is it on sale ? ",
    ),
    (r"(?:对比|比较)一?下?(?:这|那|前)?(?:两|二|2)(?:个|款|件|种|样)", " compare these two "),
    (
        r"(?:这|那|前)?(?:两|二|2)(?:个|款|件|种|样)(?:东西|商品)?(?:有什么|的)?(?:区别|不同|差别)",
        " compare these two ",
    ),
    (r"(?:先)?(?:别|不要|不)(?:下单|付款|买|结账|确认|提交)(?:了)?", " no don't order it "),
    (r"(?:等等|等一下|等下|稍等|慢着)[，,、\s]*(?:先)?(?:不要|别|不)?(?:了|急)?", " wait "),
    (
        rf"{_N}{_CUR}\s*(?:到|至|-|~|—)\s*{_N}{_CUR}(?:之间|以内|左右)?(?=[^\d%件个双瓶包号码]|$)",
        r" between \1 \2 and \3 \4 ",
    ),
    (
        rf"(?:不超过|不要超过|不能超过|别超过|最多|低于|少于|不到|小于|便宜过|预算(?:是|为|在)?|控制在|以内是)\s*{_N}{_CUR}(?:以内|以下|之内|左右)?",
        r" under \1 \2 ",
    ),
    (
        rf"(?:至少|不低于|不少于|高于|超过|多于|大于)\s*{_N}\s*(分|星|颗星)",
        r" rated at least \1 stars ",
    ),
    (rf"{_N}\s*(?:分|星|颗星)\s*(?:以上|及以上|或以上)", r" rated at least \1 stars "),
    (
        rf"(?:评分|评价|口碑)(?:在|要|达到|高于|超过|不低于)?\s*{_N}\s*(?:分|星)?(?:以上|及以上)?",
        r" rated at least \1 stars ",
    ),
    (
        rf"(?:不想?用|不要用|别用|先不用|取消|去掉|撤掉|拿掉|移除|删除)(.{{0,8}}?){_COUPON}",
        r" remove \1 coupon ",
    ),
    (
        rf"哪(?:些|张|个){_COUPON}(?:我)?(?:能|可以?)用|(?:能|可以?)用的{_COUPON}|(?:能|可以?)用(?:哪|什么|多少)(?:些|张|个)?{_COUPON}",
        " which coupon can i use ",
    ),
    (
        rf"(?:使用|用上|用掉|应用|兑换|核销|(?<![适有可])用)(.{{0,8}}?){_COUPON}",
        r" apply \1 coupon ",
    ),
    (rf"{_COUPON}(?:都)?(?:用上|用掉)", " apply coupon "),
    (
        r"(?:能|可以?|会)?(?:帮我)?(?:省|便宜|优惠|减|抵)(?:下|掉|了)?多少(?:钱)?",
        " how much would i save ",
    ),
    (rf"(?:至少|不低于|不少于|高于|超过|多于|大于)\s*{_N}\s*(小时|个小时)", r" at least \1 hours "),
    (rf"{_N}\s*(?:个)?小时\s*以上", r" at least \1 hours "),
    (rf"(?:至少|不低于|不少于|大于)\s*{_N}\s*(?:升|公升)", r" at least \1 liters "),
    (rf"{_N}\s*(?:升|公升)\s*以上", r" at least \1 liters "),
    (rf"(?:高于|超过|至少|不低于|多于|大于)\s*{_N}{_CUR}", r" over \1 \2 "),
    (rf"{_N}{_CUR}\s*(?:以下|以内|之内|之下|内)", r" under \1 \2 "),
    (rf"{_N}{_CUR}\s*(?:以上|起)", r" over \1 \2 "),
    (rf"{_N}{_CUR}\s*(?:左右|上下)", r" around \1 \2 "),
    (
        r"(?:来|加|要|买)?\s*(?<![零〇二两三四五六七八九十百千])一\s*(?:双|款|件|台|只|瓶|副|条|顶|把)(?!\s*(?:点|些))",
        r" a ",
    ),
    (r"(\d+)\s*[码号](?:半)?", r" size \1 "),
    (r"([一二三四五六七八九十]+)[码号]", r" size \1 "),
    (r"第\s*([一1])\s*(?:个|款|双|件|种|台|只|条|瓶|包|副|样)?", " the first one "),
    (r"第\s*([二2两])\s*(?:个|款|双|件|种|台|只|条|瓶|包|副|样)?", " the second one "),
    (r"第\s*([三3])\s*(?:个|款|双|件|种|台|只|条|瓶|包|副|样)?", " the third one "),
    (r"第\s*([四4])\s*(?:个|款|双|件|种|台|只|条|瓶|包|副|样)?", " the fourth one "),
    (r"第\s*([五5])\s*(?:个|款|双|件|种|台|只|条|瓶|包|副|样)?", " the fifth one "),
    (r"最后\s*(?:那|一)?\s*(?:一)?(?:个|款|双|件|种|台|只|条)", " the last one "),
    (r"前\s*[两二2]\s*(?:个|款|双|件|种|台|只|条)", " the first two "),
    (r"前\s*[三3]\s*(?:个|款|双|件|种|台|只|条)", " the first three "),
    (
        r"这\s*[两二2]\s*(?:个|款|双|件|种|台|只|条)|两(?:个|款|双|件|者)都|它们俩|二者",
        " both of them ",
    ),
    (
        r"(?:哪个|哪款|哪双|哪一个|哪一款)(?:更|比较|最)?(?:好|值得|合适|推荐)",
        " which one is better ",
    ),
    (r"(?:哪个|哪款|哪双|哪一个|哪一款)(?:更|比较|最)?(?:便宜|划算)", " which one is cheaper "),
    (
        r"(?:哪个|哪款|哪双|哪一个|哪一款)(?:的)?(?:评分|评价)(?:更|比较|最)?高",
        " which one is better rated ",
    ),
    (
        r"(?:哪个|哪款|哪双|哪一个|哪一款)(?:的)?(?:续航|电池)(?:更|比较|最)?(?:长|久|好)",
        " which one has longer battery ",
    ),
    (r"(?:哪个|哪款|哪双|哪一个|哪一款)(?:更|比较|最)?轻", " which one is lighter "),
    (
        r"(?:最便宜|最实惠|最低价)的?(?:那(?:个|款|双|件)|一(?:个|款|双|件)|的)?",
        " the cheapest one ",
    ),
    (r"(?:最贵)的?(?:那(?:个|款|双|件)|一(?:个|款|双|件))?", " the most expensive one "),
    (
        r"(?:评分最高|评价最好|口碑最好|最受好评)的?(?:那(?:个|款|双|件)|一(?:个|款|双|件))?",
        " the best rated one ",
    ),
    (
        r"(?:那|这)\s*(?:个|款|双|件)?\s*便宜(?:一?点)?的(?:那(?:个|款|双|件))?|便宜的?那(?:个|款|双|件)|便宜的那一?(?:个|款|双|件)",
        " the cheaper one ",
    ),
    (
        r"(?:那|这)\s*(?:个|款|双|件)?\s*贵(?:一?点)?的(?:那(?:个|款|双|件))?|贵的?那(?:个|款|双|件)",
        " the more expensive one ",
    ),
    (
        r"(?:再|更|还有)?(?:没有|有没有|来个|找个)?(?:更|再)?(?:便宜|实惠)(?:一?点|一?些)?的?(?:吗|么)?",
        " cheaper ",
    ),
    (r"(?:更|再)?(?:贵|高端|高档)(?:一?点|一?些)的?", " more expensive "),
    (r"比\s*(.{1,12}?)\s*便宜", r" cheaper than \1 "),
    (r"(?:我的)?(?:鞋码|尺码|脚)(?:是|为|穿)\s*(?:size)?\s*(\d+)", r" my shoe size is \1 "),
    (r"除了\s*(.{1,12}?)\s*(?:以外|之外|都)", r" not \1 , "),
    (
        r"(?:不想要|不要|别要|不含|不带|没有|非|排除|不喜欢|讨厌|除去|去掉)(?!了)(?=\s*[^吗么]{1,10}(?:$|[,，。的、或]))",
        " not ",
    ),
)

CHINESE_WORDS: dict[str, str] = {
    "优惠券": "coupon", "优惠卷": "coupon", "折扣券": "coupon", "代金券": "voucher", "折价券": "coupon", "购物券": "voucher",
    # what to do
    "加入购物车": "add to basket", "加到购物车": "add to basket", "加进购物车": "add to basket",
    "放进购物车": "add to basket", "放到购物车": "add to basket", "放入购物车": "add to basket",
    "添加到购物车": "add to basket", "加购": "add to basket", "加购物车": "add to basket",
    "购物车里有什么": "show my basket", "看看购物车": "show my basket", "查看购物车": "show my basket",
    "看购物车": "show my basket", "我的购物车": "my basket", "购物车": "basket",
    "清空": "empty", "从购物车": "from my basket", "移除": "remove", "删掉": "remove", "删除": "delete", "拿掉": "remove",
    "去掉": "remove", "不要了": "remove", "移出": "remove", "取出": "remove", "减到": "make it", "减少到": "make it",
    "改成": "make it", "换成": "make it", "改为": "make it", "数量": "quantity", "再来一": "add 1 more", "再加一": "add 1 more",
    "我要买": "i will take", "我要了": "i will take it", "就要": "i will take", "就买": "i will take", "来一": "add 1",
    "来两": "add 2", "来三": "add 3", "买": "buy", "我要": "i want", "我想要": "i want", "想要": "want", "我想买": "i want to buy",
    "想买": "want to buy", "需要": "need", "我在找": "i am looking for", "找": "find", "有没有": "do you have", "有吗": "do you have",
    "请问": "", "请": "please", "帮我": "", "给我": "give me", "看看": "show", "显示": "show", "搜索": "search",
    "撤销": "undo", "取消刚才": "undo", "撤回": "undo", "还原": "undo", "恢复": "undo", "回退": "undo",
    "结账": "checkout", "结帐": "checkout", "付款": "checkout", "买单": "checkout", "下单": "checkout", "去结算": "checkout", "结算": "checkout",
    "提交订单": "checkout", "确认": "confirm", "是的": "yes", "好的": "yes", "可以": "yes", "行": "yes", "好": "good",
    "没问题": "yes", "同意": "yes", "对": "yes", "不用了": "no thanks", "不用": "no", "先不": "not now", "算了": "never mind",
    "取消": "cancel", "不": "not", "别": "not", "我的订单": "my orders", "订单": "order", "物流": "order status", "发货": "order status",
    "历史订单": "my orders", "收藏夹": "wishlist", "心愿单": "wishlist", "愿望清单": "wishlist", "收藏": "wishlist",
    "加": "add", "挑": "choose", "选": "choose", "帮我找": "find", "帮我看看": "show", "能不能": "can you", "可不可以": "can you", "有哪些": "what do you have", "有什么": "what do you have", "还有什么": "more", "看一下": "show", "看一看": "show", "瞧瞧": "show", "全部": "everything", "所有": "all", "们": " ", "那": " ", "这": " ", "得": " ", "吃的": "food", "喝的": "drinks", "拿": "take", "来": " ", "不想要": "not", "不能有": "without", "不含": "without", "不带": "without", "没有": "without", "除了": "except", "其它": "other", "大一点": "bigger", "小一点": "smaller", "轻一点": "lighter", "更轻": "lighter", "更大": "bigger", "更便宜": "cheaper", "太贵": "too expensive", "贵了": "too expensive", "差多少": "what is the difference", "哪里不同": "what is the difference",
    "加入": "add to", "加到": "add to", "放进": "add to", "添加": "add", "记住": "remember", "我喜欢": "i prefer", "我偏好": "i prefer",
    "我穿": "i wear", "以后": "from now on", "忘记我": "forget me", "忘了我": "forget me", "删除我的数据": "forget me", "清除我的数据": "forget me",
    "删除我的所有数据": "forget me", "删除我的信息": "forget me", "清除我的信息": "forget me", "删除我的资料": "forget me", "清除我的资料": "forget me",
    "你知道我什么": "what do you know about me", "你了解我什么": "what do you know about me", "关于我": "about me", "我的资料": "my profile",
    "你都知道": "what do you know", "你知道": "what do you know", "对我了解": "know about me", "了解": "know", "我的信息": "my data", "我的数据": "my data",
    "我的偏好": "my preferences", "对比": "compare", "比较一下": "compare", "比较": "compare", "比一比": "compare", "区别": "difference",
    "哪个": "which one", "哪款": "which one", "哪双": "which one", "推荐": "recommend", "建议": "recommend", "适合我": "for me",
    "猜我喜欢": "recommend for me", "为什么": "why", "为何": "why", "理由": "reason", "怎么会": "why", "优惠活动": "promotions", "促销活动": "promotions",
    "优惠": "on sale", "打折": "on sale", "折扣": "on sale", "促销": "on sale", "特价": "on sale", "降价": "on sale", "活动": "promotions",
    "评价": "reviews", "评论": "reviews", "口碑": "reviews", "买家": "buyers", "大家怎么说": "what do people say", "评分": "rating", "好评": "best rated",
    "介绍": "tell me about", "详情": "details", "详细": "details", "参数": "details", "怎么样": "how is", "多少钱": "how much is",
    "什么价格": "how much is", "价格": "price", "价钱": "price", "几钱": "how much is", "续航": "battery life", "电池": "battery",
    "多长时间": "how long", "多久": "how long", "多重": "how heavy", "重量": "weight", "材质": "material", "什么材料": "what material", "尺寸": "size",
    "类似": "similar to", "相似": "similar to", "差不多": "similar to", "同类": "similar to", "替代": "alternative to", "搭配": "goes with",
    "配什么": "what goes with", "一套": "bundle", "套装": "bundle", "组合": "bundle", "总共": "in total", "一共": "in total", "合计": "in total", "总价": "in total",
    "凑": "bundle", "预算": "budget", "快用完": "running low", "快没了": "running low", "该补": "need to restock", "补货": "restock",
    "常买": "usual", "平时买": "usual", "经常买": "usual", "老样子": "my usual", "还是那个": "my usual", "再买一次": "buy again", "回购": "buy again",
    "换个便宜的": "swap for cheaper", "换便宜的": "swap for cheaper", "自有品牌": "store brand",
    # asking, pointing, joining
    "什么": "what", "哪些": "which", "多少": "how many", "吗": "?", "呢": "?", "么": "?", "这个": "this one", "那个": "that one", "这款": "this one",
    "那款": "that one", "这双": "this one", "那双": "that one", "这件": "this one", "那件": "that one", "它们": "them", "它": "it",
    "另一个": "the other one", "另外一个": "the other one", "还有别的": "more", "还有": "more", "其他": "other", "别的": "other", "更多": "more", "都": "both",
    "或者": "or", "或": "or", "和": "and", "跟": "and", "与": "and", "以及": "and", "还要": "and", "但是": "but", "但": "but",
    "不过": "but", "其实": "actually", "说错了": "sorry ,", "我是说": "i mean", "改一下": "actually", "而且": "and", "并且": "and", "然后": ", then", "再": ", then",
    "都行": "any is fine", "都可以": "any is fine", "无所谓": "does not matter", "随便": "any", "任何": "any", "不限": "any",
    "给": "for", "送": "gift for", "礼物": "gift", "用于": "for", "用": "for", "适合": "for", "的": " ", "一下": "", "我": "i", "你": "you", "您": "you",
    "您好": "hello", "你好": "hello", "嗨": "hello", "谢谢": "thanks", "多谢": "thanks", "再见": "bye", "拜拜": "bye", "能做什么": "what can you do", "帮助": "help",
    "按价格": "sort by price", "从低到高": "cheapest first", "从高到低": "most expensive first", "排序": "sort", "有货": "in stock", "现货": "in stock", "库存": "stock",
    "个": " ", "双": " ", "件": " ", "款": " ", "台": " ", "只": " ", "瓶": " ", "包": " ", "副": " ", "盒": " ", "条": " ", "些": " ", "把": " ", "了": " ", "吧": " ",
    "要": "want", "是": "is", "有": "have", "到": "to", "在": " ", "里": " ", "呀": " ", "啊": " ", "能": "can", "会": " ", "想": "want", "就": " ", "也": " ",
    "不对": "no ,", "错了": "sorry ,", "弄错了": "sorry ,", "双人": "double", "单人": "single", "妈妈": "mother", "母亲": "mother", "爸爸": "father", "父亲": "father", "朋友": "friend", "老婆": "wife", "老公": "husband", "妻子": "wife", "丈夫": "husband", "女朋友": "girlfriend", "男朋友": "boyfriend", "同事": "colleague", "老师": "teacher", "爷爷": "grandfather", "奶奶": "grandmother", "外婆": "grandmother", "外公": "grandfather", "姐姐": "sister", "妹妹": "sister", "哥哥": "brother", "弟弟": "brother", "女儿": "daughter", "儿子": "son", "知道": "know", "两倍": "double", "岁": " years old ", "个人玩": " players ", "人玩": " players ", "便宜点": "cheaper", "便宜": "cheap", "贵": "expensive", "好用": "good", "最": "most", "换": "change", "尺码": "size", "颜色": "color", "牌子": "brand", "品牌": "brand",
    # money
    "欧元": " eur ", "美元": " usd ", "美金": " usd ", "英镑": " gbp ", "日元": " jpy ", "日圆": " jpy ", "人民币": " cny ", "块钱": " cny ", "元钱": " cny ", "元": " cny ", "块": " cny ", "美刀": " usd ",
    # colours
    "彩色": "multicolor", "透明": "clear", "藏青色": "navy", "深蓝色": "navy", "浅蓝色": "blue", "深色": "dark", "浅色": "light", "卡其色": "khaki",
    "黑色": "black", "白色": "white", "红色": "red", "蓝色": "blue", "绿色": "green", "灰色": "gray", "粉色": "pink", "粉红色": "pink", "棕色": "brown",
    "咖啡色": "brown", "褐色": "brown", "黄色": "yellow", "橙色": "orange", "紫色": "purple", "银色": "silver", "金色": "gold", "米色": "beige",
    "黑": "black", "白": "white", "红": "red", "蓝": "blue", "绿": "green", "灰": "gray", "粉": "pink", "棕": "brown",
    # qualities
    "防水": "waterproof", "无线": "wireless", "有线": "wired", "蓝牙": "bluetooth", "降噪": "noise cancelling", "主动降噪": "noise cancelling",
    "有机": "organic", "无咖啡因": "caffeine free", "低因": "decaf", "脱因": "decaf", "咖啡因": "caffeine", "电动": "electric", "手动": "manual",
    "可机洗": "machine washable", "洗碗机": "dishwasher safe", "真皮": "leather", "皮革": "leather", "皮质": "leather", "皮": "leather", "网面": "mesh",
    "尼龙": "nylon", "橡胶": "rubber", "玻璃": "glass", "不锈钢": "steel", "钢": "steel", "陶瓷": "ceramic", "棉": "cotton", "羊毛": "wool", "丝绸": "silk",
    "木": "wood", "金属": "metal", "塑料": "plastic", "轻便": "light", "轻量": "light", "轻": "light", "重": "heavy", "舒适": "comfortable",
    "男士": "men", "女士": "women", "男": "men", "女": "women", "儿童": "kids", "小孩": "kids", "孩子": "kids", "童": "kids", "宝宝": "baby", "成人": "adult",
    "大号": "large", "中号": "medium", "小号": "small", "新品": "new", "最新": "newest", "畅销": "best selling", "热门": "popular", "无麸质": "gluten free",
    "无糖": "sugar free", "低脂": "low fat", "脱脂": "fat free", "全脂": "whole", "素食": "vegetarian", "纯素": "vegan", "冷冻": "frozen", "新鲜": "fresh",
    "英寸": " inch ", "寸": " inch ", "能装": "for", "装": "for", "放": "for", "装得下": "for",
    # things
    "茶壶": "teapot", "茶杯": "tea cup", "茶具": "tea set", "红茶": "black tea", "花茶": "herbal tea", "瑜伽垫": "yoga mat", "瑜伽": "yoga", "水瓶": "water bottle", "保温杯": "water bottle", "头盔": "helmet", "自行车": "bike", "单车": "bike", "雨衣": "rain jacket", "雨伞": "umbrella", "羽绒服": "down jacket", "毛衣": "sweater", "卫衣": "hoodie", "短裤": "shorts", "内衣": "underwear", "西装": "suit", "领带": "tie", "睡衣": "pajamas", "泳衣": "swimsuit", "显示器": "monitor", "屏幕": "screen", "打印机": "printer", "充电宝": "power bank", "路由器": "router", "硬盘": "hard drive", "游戏机": "game console", "游戏": "game", "积木": "building blocks", "拼图": "puzzle", "毛绒玩具": "plush toy", "娃娃": "doll", "防晒霜": "sun cream", "防晒": "sun cream", "护手霜": "hand cream", "面霜": "face cream", "口红": "lipstick", "香水": "perfume", "刀具": "knife", "菜刀": "knife", "刀": "knife", "锅": "pan", "盘子": "plate", "碗": "bowl", "筷子": "chopsticks", "勺子": "spoon", "落地灯": "floor lamp", "床头灯": "bedside lamp", "吊灯": "ceiling lamp", "窗帘": "curtain", "毛巾": "towel", "床单": "sheet", "被子": "duvet", "床垫": "mattress", "书架": "bookshelf", "衣柜": "wardrobe", "镜子": "mirror", "花瓶": "vase", "巧克力棒": "chocolate bar", "糖果盒": "candy box", "尿不湿": "diapers", "狗": "dog", "猫": "cat", "宠物": "pet", "婴儿": "baby", "家具": "furniture", "电器": "appliance", "电子产品": "electronics", "衣服": "clothes", "服装": "clothing", "玩的": "toys", "文具": "stationery", "笔": "pen", "本子": "notebook", "橡皮": "eraser", "剪刀": "scissors", "胶水": "glue", "工具": "tools", "螺丝": "screw", "油漆": "paint", "园艺": "garden", "种子": "seeds", "花盆": "planter", "烤箱": "oven", "微波炉": "microwave", "冰箱": "refrigerator", "洗衣机": "washing machine", "吸尘器": "vacuum cleaner", "吹风机": "hair dryer", "剃须刀": "razor", "电扇": "fan", "风扇": "fan", "空调": "air conditioner",
    "跑步鞋": "running shoes", "跑鞋": "running shoes", "运动鞋": "sneakers", "休闲鞋": "sneakers", "板鞋": "sneakers", "球鞋": "sneakers", "登山靴": "hiking boots",
    "登山鞋": "hiking boots", "徒步鞋": "hiking boots", "徒步靴": "hiking boots", "靴子": "boots", "靴": "boots", "凉鞋": "sandals", "拖鞋": "slippers", "鞋子": "shoes", "鞋": "shoes",
    "耳机": "headphones", "头戴式": "over-ear", "头戴": "over-ear", "入耳式": "in-ear", "耳塞": "earbuds", "耳麦": "headset", "音箱": "speaker", "音响": "speaker", "扬声器": "speaker", "麦克风": "microphone",
    "咖啡机": "coffee machine", "意式咖啡机": "espresso machine", "浓缩咖啡机": "espresso machine", "咖啡壶": "coffee maker", "手冲壶": "coffee maker", "手冲咖啡壶": "coffee maker",
    "磨豆机": "coffee grinder", "研磨机": "grinder", "咖啡豆": "coffee beans", "咖啡粉": "ground coffee", "咖啡": "coffee", "马克杯": "mug", "杯子": "mug", "水杯": "mug", "杯": "cup",
    "热水壶": "kettle", "电水壶": "electric kettle", "电热水壶": "electric kettle", "水壶": "kettle", "厨房": "kitchen", "双肩包": "backpack", "背包": "backpack", "书包": "school backpack",
    "登山包": "hiking backpack", "邮差包": "messenger bag", "单肩包": "shoulder bag", "手提包": "handbag", "腰包": "running belt", "钱包": "wallet", "包包": "bag", "箱子": "suitcase", "行李箱": "suitcase",
    "手表": "watch", "项链": "necklace", "戒指": "ring", "手链": "bracelet", "耳环": "earrings", "眼镜": "glasses", "太阳镜": "sunglasses", "帽子": "hat", "围巾": "scarf", "手套": "gloves",
    "袜子": "socks", "衬衫": "shirt", "t恤": "t-shirt", "夹克": "jacket", "外套": "jacket", "大衣": "coat", "裤子": "pants", "牛仔裤": "jeans", "裙子": "skirt", "连衣裙": "dress", "皮带": "belt", "腰带": "belt",
    "手机": "phone", "电脑": "computer", "笔记本电脑": "laptop", "笔记本": "laptop", "平板": "tablet", "电视": "television", "电视机": "television", "相机": "camera", "摄像头": "camera", "键盘": "keyboard", "鼠标": "mouse",
    "充电器": "charger", "数据线": "cable", "沙发": "sofa", "椅子": "chair", "桌子": "table", "床": "bed", "柜子": "cabinet", "灯": "lamp", "台灯": "lamp", "时钟": "clock", "抱枕": "cushion", "枕头": "pillow", "毯子": "blanket",
    "地毯": "rug", "蜡烛": "candle", "花": "flowers", "花束": "bouquet", "植物": "plant", "书": "book", "吉他": "guitar", "钢琴": "piano", "鼓": "drum", "锤子": "hammer", "螺丝刀": "screwdriver", "电钻": "drill", "锯": "saw",
    "帐篷": "tent", "睡袋": "sleeping bag", "钓鱼": "fishing", "玩具": "toy", "牛奶": "milk", "酸奶": "yogurt", "奶酪": "cheese", "芝士": "cheese", "黄油": "butter", "鸡蛋": "eggs", "蛋": "eggs", "面包": "bread", "麦片": "cereal",
    "燕麦": "oatmeal", "米饭": "rice", "大米": "rice", "米": "rice", "面条": "noodles", "意大利面": "pasta", "意面": "pasta", "面粉": "flour", "糖": "sugar", "盐": "salt", "油": "oil", "橄榄油": "olive oil", "酱油": "soy sauce", "番茄酱": "ketchup",
    "果酱": "jam", "花生酱": "peanut butter", "蜂蜜": "honey", "饼干": "cookies", "薯片": "potato chips", "巧克力": "chocolate", "糖果": "candy", "冰淇淋": "ice cream", "冰激凌": "ice cream", "蛋糕": "cake", "坚果": "nuts", "零食": "snacks",
    "水果": "fruit", "苹果": "apple", "香蕉": "banana", "橙子": "orange", "橘子": "orange", "葡萄": "grapes", "草莓": "strawberries", "蓝莓": "blueberries", "柠檬": "lemon", "蔬菜": "vegetables", "土豆": "potatoes", "西红柿": "tomatoes", "番茄": "tomatoes",
    "洋葱": "onion", "胡萝卜": "carrots", "生菜": "lettuce", "蘑菇": "mushrooms", "沙拉": "salad", "鸡肉": "chicken", "鸡胸": "chicken breast", "牛肉": "beef", "猪肉": "pork", "培根": "bacon", "香肠": "sausage", "火腿": "ham", "火鸡": "turkey", "鱼": "fish",
    "三文鱼": "salmon", "金枪鱼": "tuna", "虾": "shrimp", "海鲜": "seafood", "汤": "soup", "披萨": "pizza", "果汁": "juice", "橙汁": "orange juice", "苹果汁": "apple juice", "水": "water", "矿泉水": "water", "可乐": "cola", "汽水": "soda",
    "啤酒": "beer", "红酒": "red wine", "葡萄酒": "wine", "酒": "wine", "茶叶": "tea", "绿茶": "green tea", "茶": "tea", "早餐": "breakfast", "午餐": "lunch", "晚餐": "dinner", "尿布": "diapers", "纸尿裤": "diapers", "湿巾": "wipes",
    "卫生纸": "toilet paper", "厕纸": "toilet paper", "纸巾": "paper towels", "洗发水": "shampoo", "洗衣液": "laundry detergent", "洗洁精": "dish soap", "肥皂": "soap", "牙膏": "toothpaste", "牙刷": "toothbrush", "猫粮": "cat food", "狗粮": "dog food",
    "跑步": "running", "登山": "hiking", "徒步": "hiking", "旅行": "travel", "上班": "office", "上学": "school", "办公室": "office", "健身": "gym", "运动": "sport", "办公": "office", "监听": "studio", "越野": "trail", "城市": "city", "海滩": "beach", "沙滩": "beach",
}  # fmt: skip
