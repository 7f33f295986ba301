"""Patterns from a glossed message to an intent: the first producer of commands.

An intent is a kind of command without its arguments; `parser` fills those in. Patterns are ordered:
the first that matches decides. A message that matches none is left to the classifier.
"""

# ruff: noqa: E501  (patterns are one line each)

import re
from dataclasses import dataclass

_BASKET = r"(?:shopping )?(?:basket|cart|bag|trolley)"
_MY_BASKET = rf"(?:my|the|our|this) {_BASKET}"
_WISH = r"(?:wish ?list|wishes|favou?rites?(?! (?:colou?r|brand|size|flavou?r|material|store|shop|style|is|are|thing))|saved (?:items|list)|favorite list)"
PERSON = r"(?:mother|mom|mum|mama|father|dad|papa|parents?|sister|brother|friend|mate|wife|husband|partner|girlfriend|boyfriend|nephew|niece|uncle|aunt(?:ie)?|grand\w+|colleague|co-?worker|boss|teacher|neighbou?r|cousin|son|daughter|host(?:ess)?|birthday|anniversary|wedding|housewarming|christmas)"
_CONFIRM_WORDS = r"yes|yeah|yep|yup|sure|ok|okay|confirm(?:ed)?|i confirm|go ahead|do it|please do|correct|right|that's right|agreed|fine|of course|absolutely|definitely|proceed|sounds good|perfect|good|great|place it|y|affirmative|by all means|let's do it|make it so|all good|looks good|exactly|certainly|please|go for it|let's go|deal|ship it|send (?:it|them)(?: off| over| out)?|that works|works for me|all right|alright|aye|that is right|you may|go on|why not"


def _p(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


YES = _p(
    rf"^(?:(?:{_CONFIRM_WORDS})(?:[\s,.!]+|$))+(?:(?:please|thanks|thank you|the order|my order|it|that|this|order it|place (?:it|the order|my order)|buy it|go|that's fine|i (?:confirm|agree|am sure|do)|to the order|everything|all|now|with it|with that|and)(?:[\s,.!]+|$))*$"
)
NO = _p(
    r"^(?:no|nope|nah|not (?:now|yet|today|really|so fast|just yet)|hang on|hold off|hold it|one (?:moment|second|sec)|just a (?:moment|second|sec|minute)|(?:maybe |perhaps )?(?:later|another time|next time)|second thoughts?|i'm not (?:sure|ready|convinced)|i am not (?:sure|ready)|better not|actually,? no(?:t)?|cancel(?: it| that| the order| my order| this)?|stop|don't(?: do (?:it|that))?|do not|never ?mind|forget (?:it|that)|wait|hold on|abort|rather not|no thanks?|no thank you|i changed my mind|not this time|leave it|negative|please don't|don't (?:order|place|buy|confirm)(?: it| that| the order)?|i'd rather not|let me think(?: about it)?)(?:[\s,.!]+|$)(?!.*\b(?:show|find|add|i want|i meant|make it)\b)"
)
GREETING = _p(
    r"^(?:hi|hello|hey|hei|good (?:morning|afternoon|evening|day)|howdy|greetings|hiya|yo)(?: (?:there|everyone|again|sir|assistant|hei))?[\s!.,:)?]*(?:how are you(?: doing)?(?: today)?|how do you do|is anyone (?:here|there).*|are you there)?[\s!.?]*$"
)
THANKS = _p(
    r"^(?:(?:ok|okay|great|perfect|super|cool|no|that's all|awesome|nice)[\s,.!]+)*(?:many )?(?:thanks|thank you|thx|ty|cheers|much appreciated)\b(?!.*\b(?:add|show|find|remove|buy|order|what|how|put)\b).*$"
)
FAREWELL = _p(
    r"^(?:bye|goodbye|good bye|see you|have a (?:nice|good|great) (?:day|one|evening)|that's all|that is all|i'm done|nothing else|no that's it|that will be all)\b.*$"
)
_VOUCHER = r"(?:coupons?|vouchers?|promo(?:tion(?:al)?)? codes?|discount codes?)"
_COUPON = rf"(?:{_VOUCHER}|offers?|discounts?|deals?|promotions?)"
_W = r"[^\s,;.?!]+ "  # one word of the same clause
OFFERS_REMOVE = _p(
    rf"\b(?:remove|drop|delete|take (?:off|away|back|out)|cancel|un-?apply|(?:don't|do not|not|won't|rather not|never mind) (?:want to |wanna )?(?:use|using|apply|applying|redeem)|stop using|leave (?:off|out)|hold back) (?:(?:{_W}){{0,5}}?{_VOUCHER}|(?:{_W}){{0,2}}?{_COUPON})\b(?! (?:filter|limit|constraint|only|requirement|restriction))|\b(?:take|leave) (?:{_W}){{1,4}}?{_COUPON} (?:off|away|out|back)\b|\b(?:keep|save) (?:{_W}){{0,4}}?{_VOUCHER} for (?:later|another|next|some)\b|\bwithout (?:{_W}){{0,3}}?{_VOUCHER}\b"
)
OFFERS_APPLY = _p(
    rf"^(?!(?:and |so |ok,? |then )*(?:what|which|how (?:much|do|can|does)|do i|do you|are there|is there|any\b|where|when|why|if)\b)(?!.*\bhow much\b).*(?:\b(?:apply|use|redeem|activate|clip|cash in|enter|spend|try)(?: up)? (?:(?:{_W}){{0,6}}?{_VOUCHER}|(?:{_W}){{0,2}}?{_COUPON})\b(?! only)|\b(?:add|put|take|include|deduct|knock off|subtract) (?:in |off )?(?:my |the |that |this |those |these |all |all my |a )?(?:{_W}){{0,2}}?(?:{_VOUCHER}|discounts?)\b|\b(?:put|add|get) {_COUPON} (?:on|to)\b)"
)
OFFERS_IT = _p(
    r"^(?:yes|yeah|ok(?:ay)?|sure|please|then|great|good|and|just|go ahead and|well|so|[\s,.!])*(?:please )?(?:apply|use|redeem|take) (?:it|them|that|those|this|these|both|all|all of them|that one|the first one)(?: all)?(?: (?:then|please|now|for me|on (?:my|this|the) (?:basket|cart|order)))*[\s.!]*$"
)
ACKNOWLEDGE = _p(
    r"^(?:i see|ok(?:ay)?|alright|cool|nice|great|good|interesting|hm+|ah+|oh+(?: really)?|wow|got it|understood|perfect|sounds good|makes sense|no problem|really|fine|lol|sure)[\s!.,?]*(?:ok|nice|cool|i see)?[\s!.?]*$"
)
HELP = _p(
    r"\b(?:what can (?:you|i) (?:do|help|ask)|how (?:can|do) you (?:help|work)|help me(?:$|[.!?])|^help[.!?]*$|what are you able|how does this work|what (?:do|could) you (?:do|offer)$)\b|^\s*help\b\s*[!.?]*$"
)
IDENTITY = _p(
    r"\b(?:who are you|are you (?:a )?(?:robot|bot|human|real|an? ai|person|machine)|what(?:'s| is) your name)\b"
)


@dataclass(frozen=True)
class Rule:
    """An intent and what it looks like."""

    intent: str
    pattern: re.Pattern[str]


RULES: tuple[Rule, ...] = (
    Rule(
        "unprefer",
        _p(
            r"\b(?:don't|do not|no longer|stop|please don't) (?:remember(?:ing)?|save|saving|store|storing|keep(?:ing)?|use|using) (?:that )?(?:i |my |the )(?!data|info|everything)|\b(?:forget|delete|remove|erase|clear|drop) (?:that i |my |the saved |the stored )(?:saved |stored |preferred |favou?rite )?(?:\w+ )?(?:size|brand|color|colour|diet|allergy|budget|material|name|email)s?\b(?! (?:filter|limit|constraint))"
        ),
    ),
    Rule(
        "forget_me",
        _p(
            r"\b(?:forget (?:about )?(?:me|everything (?:about|you know)|all (?:about|you know)|my (?:data|preferences|history|details|profile|purchases))|(?:delete|erase|remove|wipe|clear|purge|destroy) (?:all (?:of )?)?(?:my|the) (?:stored |personal |saved )*(?:data|information|info|profile|account|history|preferences|details|records|personal)|(?:delete|erase|remove|wipe|clear|purge) (?:everything|all|anything|what(?:ever)?) (?:you|that you|i|the) ?.{0,20}(?:know|have|store[ds]?|remember|saved?|data|info\w*)|right to be forgotten|gdpr|(?:delete|erase|wipe) (?:everything|all) about me|don't remember me|stop remembering me|data (?:erasure|deletion)|(?:delete|erase) me\b)"
        ),
    ),
    Rule(
        "undo",
        _p(
            r"\b(?:undo|revert|take (?:that|it) back(?! to)|roll ?back|reverse (?:that|the last)|(?:cancel|scratch) (?:that|the last|my last|the previous) (?:change|action|step|one|addition|removal)?|put (?:it|that|them|those|these|this|everything|the (?:last|lot|\w+)) back(?! (?:in|on))|go back one step|restore (?:it|that|my|the)|bring (?:it|that|them) back|changed my mind about that|(?:go|change it|put it|set it|switch|turn it) back to (?:how|what|the way|before)|back to (?:how|the way) (?:it|things) (?:was|were)|(?:un-?do|reverse|restore)\b|as it was before|i take that back|that was a mistake|i didn't mean (?:to|that)|didn't mean to (?:add|remove|delete|clear))\b"
        ),
    ),
    Rule(
        "checkout",
        _p(
            rf"\b(?:check ?out|(?:place|submit|complete|finish|finali[sz]e) (?:the|my|an|this|our) (?:order|purchase)|(?:i(?:'d| would)? (?:want|like|am ready|wish)|ready|let me|let's|how (?:do|can) i) (?:to )?(?:pay|checkout)|pay (?:now|for (?:it|them|everything|my|the|this|these|that))|buy (?:everything|all|what's|what is) (?:in|of|that is in)|(?:buy|order|purchase|get) (?:everything|it all|them all|all of it|my {_BASKET}|the {_BASKET}|the whole {_BASKET})|order now|buy now|proceed to (?:pay\w*|buy)|let (?:me|us) (?:pay|order|buy)|let's (?:pay|order)|(?:ready|time|want|wish|going|prepared) to (?:order|pay|buy|purchase)(?: (?:now|this|these|that|it|them|everything))?(?=$|[\s,.!?]*$)|(?:order|buy|purchase|get|pay for|take) (?:everything|all|what|whatever|the (?:things|items|products|stuff))(?:(?:'s| is| are| i have| i've got| i put| that is| that are)? ?(?:currently |now )?(?:in|inside) (?:my|the)|\b[^.]{0, 20}\b(?:in|inside) (?:my|the)) {_BASKET}|settle (?:up|the bill)|(?:ring|cash) (?:me|it|this|them) (?:up|out)|(?:finish|complete|finali[sz]e) (?:my |the |this )?(?:shopping|order|purchase)|pay (?:for )?(?:my|the) (?:order|bill|shopping|things|items)|i(?:'d| would) like to pay|(?<!don't )(?<!not )(?:want|like|need) to pay(?! (?:more|less|over|under|up|at|that|so|too|around|about|\d|[€$£]))|complete (?:checkout|the purchase)|go to (?:the )?(?:till|checkout)|take me to (?:the )?(?:till|checkout|payment)|that's (?:all|everything),? (?:i(?:'d| would) like to )?(?:order|pay|buy|checkout)|order (?:my|the) {_BASKET}|purchase (?:my|the) {_BASKET}|to the (?:till|checkout)|(?:and|then|let's|i'll) (?:just )?pay(?=$|[\s,.!]*$| now| for (?:it|this|them|everything)))\b"
        ),
    ),
    Rule(
        "profile",
        _p(
            r"\b(?:what (?:do|did|have|else do) you (?:know|remember|store[d]?|have|save[d]?|keep|kept|learn(?:ed|t)?|got)(?: \w+){0,3} (?:about|on|of) me|what (?:data|information|info|details)\b.{0,30}\b(?:about|on) me|what (?:data|information|info|details) (?:do|have|did) you|(?:show|see|view|display|tell) (?:me )?(?:about )?my (?:profile|preferences|data|stored data|settings|saved preferences)|my (?:profile|preferences|stored data|data)(?:$|[?.!])|what (?:are|were) my (?:preferences|settings|sizes?)|what(?:'s| is) my (?:\w+ )?(?:size|preference|preferences|profile)|what you know (?:about me|of me)|know about me|who am i|do you (?:know|remember) (?:me|my|anything about me)|what(?:'s| is) stored about me)\b"
        ),
    ),
    Rule(
        "restock",
        _p(
            r"\b(?:running (?:low|out)|run out (?:of)?|low on|(?:need|time|due|should i|have) to (?:restock|reorder|re-order|replenish)|restock|replenish|what (?:do|should) i (?:need to )?(?:reorder|rebuy|buy again)|almost out|about to run out|due for|what am i (?:missing|short of))\b"
        ),
    ),
    Rule(
        "usual",
        _p(
            r"\b(?:my usual|the usual|usual (?:order|brand|one)?|same (?:\w+ )?as (?:last time|always|usual)|the (?:\w+ ){0,2}i (?:always|usually|normally|regularly) (?:buy|get|order|have)|i (?:always|usually|normally) (?:buy|get)|(?:buy|order|get) (?:\w+ ){0,3}again|reorder (?:my|the)|what i (?:usually|always|normally) (?:buy|get))\b"
        ),
    ),
    Rule(
        "swap",
        _p(
            r"\b(?:swap|replace|switch|exchange|trade|substitute)\b(?=.*\b(?:cheaper|less expensive|store brand|own brand|private label|generic|budget|house brand|cheapest)\b)|\bmake my basket cheaper\b|\b(?:cheaper|store brand) (?:swap|substitute|replacement)s?\b"
        ),
    ),
    Rule(
        "wishlist_remove",
        _p(
            rf"\b(?:remove|delete|take|drop|clear|get rid)\b.*\b(?:from|off|out of|of) (?:my |the )?{_WISH}\b|\b(?:un-?save|un-?favou?rite)\b|\b{_WISH} (?:remove|delete)\b"
        ),
    ),
    Rule(
        "wishlist_view",
        _p(
            rf"\b(?:show|see|view|open|display|what(?:'s| is| do i have| have i got)?(?: in| on)?)\b.{{0,12}}\b(?:my |the ){_WISH}\b(?! add)|^(?:my |the )?{_WISH}[?.!\s]*$"
        ),
    ),
    Rule(
        "wishlist_add",
        _p(
            rf"\b(?:add|put|save|keep|move|store|place|pop|stick|want)\b.*\b(?:to|on|in|onto|into|for) (?:my |the |a )?{_WISH}\b|\b(?:save|keep|remember|bookmark|favou?rite) (?:it|this|that|the \w+(?: \w+)?|these|those|them|both)(?: one)? (?:for later|for another time)|\b(?:bookmark|wishlist|favorite) (?:it|this|that|the)\b|\bsave for later\b|\b(?:add to )?{_WISH}\b.*\b(?:add|please)\b|\b(?:the \w+ one|it|this one|that one|.{{2,30}}) (?:add to )?{_WISH}\b"
        ),
    ),
    Rule(
        "basket_view",
        _p(
            rf"\bwhat (?:does|do|will|would) (?:it|that|this|everything|all of it|they)(?: all)? (?:come|add up|amount) to\b|\b(?:what(?:'s| is| do i have| have i got| items are| else is|'s currently| is currently| all is)?|show|see|view|display|check|list|open|review|look at|go to)\b(?: me)?(?: \w+){{0,2}}? (?:in |inside |into |at )?(?:my|the|our) (?:current )?{_BASKET}\b(?! (?:add|to))|\bhow (?:much|many)\b.*\b(?:in|is|does|do|for|of) (?:my|the) {_BASKET}\b|\b{_BASKET} (?:total|contents|summary|content)\b|^(?:my |the )?(?:basket|cart|shopping cart|shopping basket)[\s?.!]*$|\bmy (?:basket|cart)[\s?.!]*$(?<!to my basket)(?<!to my cart)(?<!from my basket)(?<!from my cart)(?<!in my basket)(?<!in my cart)(?<!for my cart)(?<!for my basket)(?<!of my cart)(?<!of my basket)(?<!into my basket)(?<!into my cart)(?<!empty my cart)(?<!empty my basket)(?<!clear my cart)(?<!clear my basket)|\bwhat(?:'s| is) (?:the|my) total\b|\bwhat have i (?:added|got|put)\b|\bwhat (?:does|do|did|will|would|is|'s) (?:my |the |our )?(?:{_BASKET}|it all|everything|all that)\b.{0, 20}\b(?:come to|cost|total|make|add up|amount)\b|\b(?:sum|total|price) of (?:my|the) {_BASKET}\b|\bhow much (?:do i owe|is (?:everything|it all|all of it|(?:that|this|it) (?:all )?(?:in total|altogether|all together))|does (?:it|everything|all) (?:cost |come to )?(?:in total|altogether|all together|come to)|is it (?:all )?(?:in total|altogether)|for everything)\b"
        ),
    ),
    Rule(
        "basket_clear",
        _p(
            rf"\b(?:empty|clear(?: out)?|reset|wipe|dump|bin|trash|scrap)\b(?: \w+)?(?: in| from)? (?:my|the|out my|entire|whole|everything)?\s*(?:entire |whole )?{_BASKET}\b|\b(?:remove|delete|take|clear|throw|bin|trash|scrap|ditch|chuck|toss) (?:everything|all(?: items| of (?:it|them)| products| the items)?)\b.*\b(?:from|out|out of|in)? ?(?:my|the) {_BASKET}\b|\b(?:remove|delete) (?:everything|all items|all of it)(?:[.!]|$)|\bstart (?:over with )?(?:a )?(?:new|fresh|empty) {_BASKET}\b|\bget rid of everything in\b"
        ),
    ),
    Rule(
        "orders",
        _p(
            r"\bo-[\w-]*\d[\w-]*\b|\b(?:my|the|last|latest|recent|past|previous|open) (?:\w+ )?orders?\b(?! (?:by|them|it|now|the))(?!\s+(?:of|is to))|\border (?:status|history|number|tracking)\b|\btrack (?:my|the|an|this)?\b|\bwhere(?:'s| is| are) my (?:order|package|parcel|delivery|stuff|things|shipment)\b|\b(?:what|which)(?: \w+)? (?:did|have) i (?:buy|bought|order(?:ed)?|purchased?)(?: \w+){0,3}\b|\bpurchase history\b|\bhas (?:my|the) (?:order|package|parcel) (?:shipped|arrived|been)\b|\b(?:shipped|delivered|arrive)\b.*\bmy (?:order|package|parcel)\b|\bwhen will (?:my|it) (?:order|package|parcel|arrive)\b|\bmy purchases\b|\border #?\d+\b"
        ),
    ),
    Rule(
        "reviews",
        _p(
            r"\breviews?(?:ers?)?\b(?!\s+(?:score|my (?:basket|cart)))|\bwhat (?:do|are|did|does) (?:\w+ ){0,2}(?:people|customers?|buyers?|users?|others|owners?|shoppers?|everyone|anyone|they) (?:say|think|like|dislike|complain|report|saying|thinking|feel|write|said|thought)\b|\b(?:any|what|common|main) (?:complaints?|criticism|problems? (?:with|reported)|downsides|drawbacks|feedback|opinions?)\b|\b(?:opinions?|feedback|testimonials?) (?:on|about|of|for)\b|\b(?:people|customers|buyers) (?:happy|satisfied|unhappy)\b|\b(?:pros and cons|worth (?:it|buying|the money)|is it any good|are they any good|any good\?)|\bhow (?:is|are|was|were) (?:it|they|this|that|the .{2,30}) (?:rated|reviewed)\b|\bwhat(?:'s| is) the (?:feedback|verdict)\b|\bhow (?:do|did) (?:people|customers|buyers) (?:rate|like|find)\b"
        ),
    ),
    Rule(
        "explain_absence",
        _p(
            r"\bwhy (?:not|didn't you (?:show|suggest|recommend|include)|don't you (?:show|suggest|recommend|include)|isn't|aren't|wasn't|haven't you|did you (?:not|leave out|exclude|skip|hide)|is(?: the)? .{2,40} (?:not|missing|gone|left out|excluded))\b|\bwhat(?:'s| is) wrong with\b|\bwhy (?:is|are|was|were) .{2,40} (?:not (?:in|on|among|shown|listed|there|included)|missing|excluded|left out|hidden)\b"
        ),
    ),
    Rule(
        "explain",
        _p(
            r"\bwhy (?:this|that|it|these|those|them|the|did you|do you|are you|is (?:it|this|that|the)|was|were|exactly|would you|should i|am i|recommend|show|suggest)\b|^why\??$|\bhow come\b|\bwhat makes (?:you|it|this|that|them|these)\b|\b(?:reason|reasons) (?:for|why|behind|to)\b|\bwhy\s*\?|\bexplain (?:why|this|that|your|the|how)\b|\bon what basis\b|\bhow did you (?:choose|pick|come up|select|get|decide)\b|\b(?:this|that|the|it|one)\b.* why\b|\brecommend .* reason\b|\bwhat for\?"
        ),
    ),
    Rule(
        "compare",
        _p(
            r"\b(?:compare|comparison|comparing|versus|vs\.?|differences?|differ|side by side|head to head)\b|\bwhich (?!(?:special )?(?:offers?|deals?|coupons?|vouchers?|discounts?|promotions?)\b)(?:one |of (?:them|these|those|the two|the three|the \w+) |of the \w+ )?(?:\w+ )?(?:is|are|has|have|would|do|does|should|offers?|gets?|lasts?|costs?|weighs?|holds?|comes)\b(?!.*\b(?:in stock|on sale|discounted|available)\b)|\bwhich (?:one|of (?:them|these|those))\b|\b(?:is|are) .{2,40} (?:better|cheaper|lighter|heavier|bigger|more expensive|higher rated) than (?!(?:\d|[€$£]))|\bwhat(?:'s| is) (?:the )?better\b|\bwhich (?:has|lasts|weighs|costs)\b|\bshould i (?:get|take|buy|choose|pick|go for) .{2,40} or\b|\b(?:decide|choose|choosing|deciding|pick|torn|choice) between\b|\b(?:two|both|these|those|them) (?:side by side|next to each other)\b|\bhow (?:does|do) .{2,60} (?:compare|stack up)\b|\b(?:better|cheaper|lighter) of the (?:two|three)\b"
        ),
    ),
    Rule(
        "bundle",
        _p(
            r"\b(?:complete (?:the|my|this) (?:look|outfit|set|set-?up)|(?:what|something|anything|things?|stuff)\b.{0,25}\b(?:complete|complement|accompany|accessori[sz]e|round (?:off|out)|goes alongside)s?\b|(?:what|anything|something|accessor\w+)\b.{0,30}\b(?:go(?:es)?|pairs?|match(?:es)?|fits?|works?) (?:well |nicely |best )?(?:with|together)|goes? with|go (?:well )?together|pair(?:s|ed)? (?:well )?with|to go with|bundles?|outfit|starter (?:kit|set|pack)|whole (?:set|kit|look)|full (?:set|kit|outfit|look)|everything (?:i|you|one|we|they)(?:'d| would)? (?:need|want)s?|all (?:i|you|we) need (?:for|to)|kit (?:me )?out|set (?:me )?up (?:with|for)|(?:basket|menu|shopping list|meal|dinner|breakfast|lunch|picnic|party|barbecue|bbq|care package|gift basket|hamper) (?:for|under|within|of|with)|(?:put together|assemble|build|make me|plan|create|compose) (?:me )?(?:a|an|some|the)\b(?=.*\b(?:set|outfit|look|kit|bundle|basket|combo|combination|package|for|under|with)\b)|combo|combination of|package (?:deal|of|price)|accessor(?:y|ies) (?:for|to)|frequently bought together|bought together|matching (?:accessor|items|pieces))\b"
        ),
    ),
    Rule(
        "similar",
        _p(
            r"\b(?:similar(?: to| ones?| products?| items?)?|alternatives?(?: to| for)?|(?:something|anything|others?|more|ones|another one|products?|items?|stuff) (?:else )?(?:like|such as|close to) (?:it|this|that|the|these|those|them)|comparable|same (?:kind|type|style|sort) (?:as|of)|more of (?:the same|these|this)|resembl\w+|in the same (?:style|vein))\b"
        ),
    ),
    Rule("offers_remove", OFFERS_REMOVE),
    Rule("offers_apply", OFFERS_APPLY),
    Rule(
        "promotions",
        _p(
            r"\b(?:any|what|which|show|list|see|are there|is there|has|got|do you have|have you(?: got)?|current|today's|active|got|tell me about|all|your|latest|running)\b(?: \w+){0,4} (?:deals?|offers?|promotions?|discounts?|specials?|sales?|coupons?|vouchers?|bargains?|promo(?:s| codes?)?)\b(?! price)|\bwhat(?:'s| is| products are| items are|'s currently| is currently| do you have| have you got)?(?: \w+){0,2} (?:on sale|on offer|discounted|reduced|on promotion|on special)\b|^(?:deals?|offers?|promotions?|discounts?|sales?|special offers?|promos?|on sale)[\s?.!]*$|\banything (?:on sale|on offer|discounted|reduced)\b|\boffers? (?:for me|that apply|apply|i can use)\b|\bis (?:anything|something) (?:on sale|reduced|discounted)\b|\bpromotions\b|\b(?:have|got) (?:a |some |i )?(?:coupons?|vouchers?)\b|\bi save\b|\b(?:coupons?|vouchers?|offers?|discounts?) (?:\w+ )?(?:save|take off|knock off|bring|fit|apply)\b|\b(?:what|how much) (?:would|could|can|do|will) i save\b"
        ),
    ),
    Rule(
        "preference",
        _p(
            r"\b(?:my (?:(?:shoe|clothing|clothes|shirt|t-shirt|dress|ring|hat|pants|jacket|foot|usual|normal|regular|preferred|favou?rite|go-to|favorite) )*(?:size|brand|color|colour|budget|diet|material|store|allergy|allergies|name|flavor|flavour|style|type)(?:s)? (?:is|are|=|:|would be)|remember (?:that|this|it|my|i)\b|(?:please |just )?note (?:that )?(?:i|my)|keep in mind (?:that )?(?:i|my)|for (?:future|next time|the future|later reference|your information)|from now on|i(?:'m| am) (?:allergic|vegan|vegetarian|lactose|gluten|a vegan|a vegetarian|kosher|halal|diabetic|coeliac|celiac|a size|size)|i (?:always |usually |normally |generally |only )?(?:wear|take) (?:a |an )?(?:size|eu|us|uk|\d{2}\b)|i (?:always|usually|generally|only|really|normally|never) (?:prefer|like|love|want|buy|use|wear|drink|eat)|save (?:my|this as my) (?:size|preference|brand|color)|set my (?:\w+ )?(?:size|preference|brand|color|colour|budget)|(?:i|my) prefer(?:red|ence)|i like (?:the )?(?:brand|color|colour) |my favou?rite|update my|change my (?:\w+ )?(?:size|preference|brand|preferred))\b"
        ),
    ),
    Rule(
        "basket_remove",
        _p(
            rf"\b(?:remove|delete|take (?:out|off|away|it out|them out|that out)|take .{{1,50}} (?:out|off|away)(?: of)?\b|get rid of|drop|throw (?:out|away)|toss|(?:kick|chuck|throw|boot|pull) .{{1,50}} out\b|kick out|cancel|discard|leave out|scrap|ditch|lose|put (?:the .{{2,30}}|it|that|them) back on the shelf)\b(?! (?:the )?(?:\w+ )?(?:filter|limit|constraint|requirement|restriction|order|subscription))|\b(?:don't|do not|no longer|don't actually) (?:want|need) (?:the|that|this|it|those|them|these|\w+ one)\b(?: .{{1,40}})? ?(?:any ?more|any longer|after all|in my {_BASKET}|now)?(?:[.!]|$)|\bwithout the .{{2,30}} in (?:my|the) {_BASKET}\b|\b(?:it|that|those|they|that one|the [\w ]{{2,30}}) (?:can|should|may|has to|have to|must) (?:go|come out)\b(?! (?:in|into|with|on|to)\b)"
        ),
    ),
    Rule(
        "basket_quantity",
        _p(
            r"\b(?:make (?:it|that|them|the \w+(?: \w+)?)|change|set|update|adjust|increase|reduce|lower|raise|bump|decrease|cut|turn|switch)\b.{0,60}\b(?:to|it|that|them|down to|up to|=|by|quantity)\s*(?:just |only |about )?(?:-?\d+|nan|infinity|-|none|zero)\b|\bmake (?:it|that|them)\s+(?:just |only )?(?:a )?\d+\b|\bmake the .{2,30} \d+\b|\bquantity\b|\b(?:only|just) (?:one|1|\d+) (?:of (?:them|those|it|the .{2,30})|please)\b|\b(?:one|1|\d+) (?:is|are|would be|will be|'s) (?:enough|plenty|sufficient|fine)\b|\b(?:one|1|\d+)(?: \w+)? will do\b|^(?:please |can you |could you )*(?:double|triple) (?:it|that|them|the)\b|\b(?:one|1|two|2) (?:less|fewer)\b|\bi (?:want|need|meant|said|only want|only need|just want|just need) (?:only |just )?\d+ (?:of (?:them|it|those|these)|instead)\b|\b(?:actually|sorry|no)[, ]+(?:make (?:it|that) )?\d+(?: (?:of (?:them|it|those)|please|instead))?[.!]?$"
        ),
    ),
    Rule(
        "basket_add",
        _p(
            rf"\badd\b(?!.*\bfilter\b)|^(?:and |also |ok(?:ay)?,? |then |please |can you |could you |yes,? )*(?:throw|toss|chuck|pop|stick|drop|bung|slip|put|pack) (?:me )?(?:in|on top)\b|\b(?:throw|toss|chuck|pop|bung|stick) in (?:a|an|the|one|two|some|\d+)\b|^(?:and |also |ok(?:ay)?,? |then |please |can you |could you )*(?:throw|toss|chuck|pop|stick|put) (?:a|an|the|one|\d+|some)\b.{{2,60}}\bin(?: too| as well| also| there| please)?[.!]?$|\b(?:put|place|throw|toss|pop|drop|stick|chuck|get|move|pack|include)\b.*\b(?:in|into|to|on|onto) (?:my |the |our )?{_BASKET}\b|\b(?:i(?:'ll| will| would| 'd|'d| wanna| am going to|'m going to)?(?: like to| love to| want to| go ahead and| just| then| also| definitely)* (?:take|buy|have|order|get|go (?:for|with)|purchase|grab|pick|choose)|give me|get me|i want to (?:buy|order|take|get)|i want|order|buy|purchase|grab|take|let me (?:get|have|take)|let's (?:take|get|go with|buy|have)|i choose|i pick|can i (?:have|get|take|buy)|could i (?:have|get)|book|i need|i'd like|send me|deliver)\b(?=.*(?:\b(?:it|them|both|these|those|#?\d+ of|first one|second one|third one|all of (?:it|them)|another one|more of)\b|\b(?:this|that)(?: one| pair)?\s*(?:[,.!?]|$|please|too|now|in\b|for me|then)|\bthe (?:first|second|third|fourth|fifth|last|other|cheap\w*|\w+ one|\w+ ones|\w+ \w+ one)\b))|^(?:and |ok(?:ay)?,? |then |yes,? |great,? )*(?:i'd like|i would like|i want|give me|get me|i need|can i have|could i have|let me have)(?: to (?:buy|order|have|get))? the \w|\b(?:i(?:'ll| will) (?:take|have|get|buy|go (?:for|with))|order|buy|purchase|grab|take|let me (?:get|have|take)|let's (?:take|get|go with|buy|have)|i choose|i pick|i'm going (?:for|with)|send me)\b(?=.*\b(?:the|\d+)\b)|\b(?:\d+|another|one|two|some) more\b(?: of (?:it|them|those|these|that|the .{{2,30}})| please)?|\banother one\b(?! like)|\b(?:to|in|into|for|onto) (?:my|the|our) {_BASKET}\b|\b(?:to|into) {_BASKET}\b|^(?:i(?:'ll| will) take (?:it|them|that|this|both).*)$|\b(?:it|that|those|them|these|they) (?:goes|go) in(?:to)?\b|\b(?:want|need|take|have) (?:it|them|those|that one|this one) (?:after all|back)\b|\bsold!|\bi'm (?:sold|in)\b|^(?:and |ok(?:ay)?,? |then |please |yes,? |just )*(?:get|give|grab|fetch|send|take) (?:me |us )?(?:\d{{1,3}}|a couple|a few|another)(?: (?:of (?:it|them|those|these)|then))*[.!]?$|^(?:and )?(?:also )?(?:the )?(?:first|second|third|last|cheapest|cheaper|blue|red|black|white) (?:one )?(?:too|as well|also)[.!]?$"
        ),
    ),
    Rule(
        "details",
        _p(
            r"\b(?:tell (?:me )?(?:more |something |a bit more |everything |all )?(?:you know |there is )?about|(?:more )?(?:details?|info(?:rmation)?|specs?|specifications?|description|features?)\b|describe|what(?:'s| is| are) (?:it|this|that|they|these|the .{2,40}) (?:made (?:of|from|out of)|like|about|for|called|weight|price|rating|brand|material|size|capacity|volume|battery|color)|how (?:much|heavy|big|large|long|tall|wide|old|good|many (?:hours|liters|settings|cups|colou?rs|sizes|pages|reviews|stars)|is|are|does) (?:is|are|does|do|was|will|would|it|they|this|that|these|the|battery|can|hours|liters|sizes)\b.*|what (?:sizes?|colou?rs?|materials?|brand|variants?|options|packs?|flavou?rs?|versions?)\b.*|(?:is|are|does|do|can|has|have|will|was) (?:it|this|that|they|these|those|them|the .{2,40}|this one|that one)\b.*|(?:what(?:'s| is)|what about) (?:the|its|their) (?:price|cost|weight|material|battery|rating|brand|size|volume|capacity|stock|colou?rs?|warranty|delivery|description)\b.*|price of|(?:the )?price\?|who makes|which brand|whats? the (?:price|weight|material|battery|rating|brand)|do (?:you have|they come|they have) (?:it|them|this|that|these|those)\b.*|does (?:it|this|that) come in\b.*|is there (?:a|an|any) .{2,30} (?:version|size|color|colour|option) (?:of|for) (?:it|this|that|the)|(?:it|this one|that one) (?:how much|details|price|material|weight|battery))\b|^how much\b\s*(?:is|are|does|do|for)?\s*(?:it|that|this|they|the .*|one|these|those)?\s*(?:cost)?\??$|^(?:and )?(?:the )?(?:price|weight|material|battery(?: life)?|rating|size|sizes|colors?|brand|capacity)\s*\?*$|\bhow is (?:it|this|that|the)\b|\bis it (?:worth|good)\b|\bopen (?:it|the .*)$|\bmore about (?:it|this|that|the)\b|\b(?:show|see|view) (?:me )?(?:the )?(?:details|specs)\b"
        ),
    ),
    Rule(
        "recommend",
        _p(
            rf"\b(?:something|anything|ideas?|stuff|what to (?:buy|get|give)) (?:nice |good |small |special |suitable )?(?:for|to give(?: to)?) (?:my |a |an |his |her |our |the )?(?:\w+ )?{PERSON}\b"
        ),
    ),
    Rule(
        "recommend",
        _p(
            r"\b(?:(?:with|suits?|to|from|like) (?:the )?(?:things|stuff|what|products|items|everything) (?:that )?i(?:\'ve| have)? (?:already |just |previously |recently )?(?:bought|purchased|ordered|got|own)|choose a (?:gift|present)|(?:buy|find|get|give|pick|looking for|need|want|after) (?:me |my \w+ |a friend |someone |somebody |him |her )?(?:a |an |some )?(?:\w+ )?(?:gifts?|presents?)\b(?! (?:box|card|set|wrap|bag))|recommend(?:ations?|ed)?|suggest(?:ions?)?|surprise me|inspire me|inspiration|for me\b|what should i (?:buy|get|try|look at)|what (?:would|do) you (?:suggest|recommend|advise)|something (?:i(?:'d| would| might)? (?:like|love|enjoy)|new|nice|for me|good|cool|interesting)|anything (?:for me|interesting|new|good|i(?:'d| might) like)|i(?:'m| am) (?:new|just looking|just browsing|bored|not sure what|a new customer|a first[- ]time)|first time here|just (?:looking|browsing)|show me (?:something|stuff|products|things|what you (?:have|got|sell))(?: (?:nice|cool|good|you have|i(?:'d| might) like))?[.!]?$|what (?:do you (?:have|sell|offer)|have you got|can i (?:buy|get))(?: here)?\??$|help me (?:choose|decide|find something)|popular (?:items|products|things|right now)?|best ?sellers?|what(?:'s| is) (?:popular|trending|new|hot|good)|based on (?:my|what i)|picked for me|gift ideas?|any (?:thoughts|ideas|suggestions|tips|inspiration)\b|need (?:a )?(?:gift|present)\b|you choose|pick (?:something|one) for me|what would suit me|don't know what)\b"
        ),
    ),
)

DECLINE = _p(
    r"\b(?:weather|forecast|temperature outside|joke|poem|haiku|limerick|sing|song lyrics|write (?:me )?(?:a|an|some|my) (?:\w+ )?(?:essay|story|poem|code|email|letter|song|program|script|function)|stock market|bitcoin|crypto|president|prime minister|politics|election|football score|who won|capital (?:city )?of|translate|homework|solve (?:this|the) (?:equation|problem)|what is \d+ ?[+*x/-] ?\d+|medical advice|diagnos\w+|lawyer|legal advice|meaning of life|horoscope|news today|latest news|date me|marry me|how do i (?:hack|make a bomb|kill)|hack|what time is it|what day is it|who is the|when did|how old is the universe|recipe for|flight|hotel|restaurant|taxi|book (?:me )?(?:a|an) (?:flight|hotel|table|taxi|appointment|room))\b|\bwhat's the time\b"
)
SERVICE = _p(
    r"\b(?:shipping|delivery (?:costs?|fees?|times?|charges?|options?)|free delivery|how long does delivery|return policy|returns policy|refunds?|return (?:it|them|something)|paypal|credit cards?|debit cards?|payment (?:methods?|options?)|pay (?:with|by)|opening hours|customer service|phone number|(?:store|shop|branch) (?:in|near)|physical store|warranty|guarantee|gift wrap\w*|do you ship)\b"
)
MORE = _p(
    r"^(?:show (?:me )?|see |any |what |got |do you have |are there |have you |is there )*(?:some |any )?(?:more|others?|other ones?|other options?|anything else|something else|next|what else|next page|different ones|other products|more (?:options|results|of them|like that)|others like that|something different)(?: please| options?| results?| products?| ones?)?[\s?.!]*$"
)
CHEAPER = _p(
    r"\b(?:cheaper|less expensive|more affordable|lower[- ]priced?|too (?:expensive|pricey|dear|much|costly)|less pricey|lower price|more budget[- ]friendly|spend less|bit cheaper|can't afford|over my budget|(?:that'?s|thats|it'?s|they'?re|theyre|that is|it is|they are|these are|those are|all)(?: (?:a bit|a little|so|rather|quite|very|really|pretty|way|still|kind of))* (?:expensive|pricey|pricy|steep|costly|over ?priced|a lot of money)|nothing less|less than (?:this|that|these|it)|not so expensive|budget (?:option|version|alternative))\b"
)
DEARER = _p(
    r"\b(?:more expensive|pricier|more premium|higher[- ]end|more upmarket|fancier|too cheap|higher quality|more luxurious|better quality|something better)\b"
)
CORRECTION = _p(
    r"^(?:no|nope|sorry|oops|wait|actually|i mean|i meant|my mistake|correction|hmm|hm|oh|not that|rather|make (?:it|that)|instead|scratch that)\b|\b(?:i meant|i mean|instead|rather than|make (?:it|that|them)|change (?:it|that|the)|on second thought|i said|what about|how about|not \w+ but|switch to)\b"
)
NEW_SEARCH = _p(
    r"\b(?:show me|find|search(?: for)?|look(?:ing)? for|i need|i want|i'd like|do you (?:have|sell|carry|stock)|have you got|get me|i'm after|now (?:show|find|i)|let's look at|browse|any|got any|where (?:can i|are)|i would like|shopping for|in the market for|hunting for|can you (?:find|show)|new search)\b"
)


def intent_of(text: str) -> str | None:
    """Return the first intent whose pattern a glossed message matches, or None.

    >>> intent_of("put the second one in my basket"), intent_of("red shoes under 50")
    ('basket_add', None)
    """
    for rule in RULES:
        if rule.pattern.search(text):
            return rule.intent
    return None


_CLAUSE = re.compile(
    r"\s*(?:[;.!]|,?\s*\b(?:and then|then|and also|after that|and afterwards|also)\b,?|,|\band\b)\s*"
)
_VERB = re.compile(
    r"^\s*(?:please |also |now |just |can you |could you |i want to |i'd like to |let's |go ahead and )*(?:add|put|remove|delete|take|drop|buy|order|show|empty|clear|make|change|set|save|compare|checkout|check out|undo|find|what|view|give|get|i'll take|i will take|place|search|remember|swap|replace|(?:apply|use|redeem)(?=.*\b(?:coupon|voucher|offer|discount|promo)))\b"
)


def clauses(text: str) -> list[str]:
    """Cut a message into clauses that each begin with a verb; what has none joins the one before.

    >>> clauses("add two mugs and remove the kettle, then show my basket")
    ['add two mugs', 'remove the kettle', 'show my basket']
    """
    pieces: list[str] = []
    start = 0
    for match in _CLAUSE.finditer(text):
        rest = text[match.end() :]
        if match.start() > start and _VERB.match(rest):
            pieces.append(text[start : match.start()].strip())
            start = match.end()
    pieces.append(text[start:].strip())
    return [p for p in pieces if p]
