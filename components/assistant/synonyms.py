"""Words that shoppers use for what catalogues call otherwise. No word here belongs to one shop.

`SYNONYMS` maps a phrase (stems joined by a blank) to what a catalogue may call it, best first; the
first that the catalogue knows is taken. `ANTONYMS` maps a word to the boolean attribute it denies.
"""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "trainer": ("sneakers", "sneaker", "athletic shoes", "running shoes"), "sneaker": ("sneakers", "sneaker", "running shoes", "shoes"),
    "tennis shoe": ("sneakers", "sneaker"), "gym shoe": ("sneakers", "sneaker", "running shoes"), "kick": ("sneakers", "sneaker"),
    "jogging shoe": ("running shoes",), "jogger": ("running shoes",), "running trainer": ("running shoes",), "running sneaker": ("running shoes",),
    "trekking boot": ("hiking boots", "boot"), "trekking shoe": ("hiking boots",), "hiking shoe": ("hiking boots",), "mountain boot": ("hiking boots",), "walking boot": ("hiking boots",), "hiker": ("hiking boots",),
    "flip flop": ("sandals",), "footwear": ("footwear", "shoes"), "shoe": ("shoes", "footwear"),
    "earphone": ("earbuds", "earphones", "headphones"), "earpiece": ("earbuds", "headphones"), "ear bud": ("earbuds",), "bud": ("earbuds",), "earbud": ("earbuds", "headphones"), "in ear": ("earbuds", "in-ear headphones"), "in ear headphone": ("earbuds", "in-ear headphones"), "airpod": ("earbuds",),
    "headset": ("headphones",), "headphone": ("headphones",), "head phone": ("headphones",), "over ear": ("over-ear headphones",), "overear": ("over-ear headphones",), "over ear headphone": ("over-ear headphones",), "over the ear headphone": ("over-ear headphones",),
    "speaker": ("speakers", "speaker", "bluetooth speaker"), "boombox": ("bluetooth speaker", "speaker"), "loudspeaker": ("speakers", "speaker", "bluetooth speaker"), "portable speaker": ("bluetooth speaker", "speakers"),
    "rucksack": ("backpack", "backpacks"), "knapsack": ("backpack",), "back pack": ("backpack",), "bookbag": ("backpack",), "daypack": ("backpack",), "school bag": ("backpack",), "schoolbag": ("backpack",),
    "satchel": ("messenger bag", "bag"), "shoulder bag": ("messenger bag", "handbag", "bag"), "briefcase": ("messenger bag", "bag"), "laptop bag": ("messenger bag", "backpack"), "purse": ("handbag",), "tote": ("handbag", "bag"), "fanny pack": ("running belt", "belt bag"), "waist bag": ("running belt",), "bum bag": ("running belt",), "waist pack": ("running belt",),
    "cup": ("mug", "cup", "cups"), "coffee cup": ("mug",), "tea cup": ("mug", "teacup"), "mug": ("mug", "mugs", "cup"), "coffee mug": ("mug",), "beaker": ("mug",),
    "water boiler": ("kettle",), "teakettle": ("kettle",), "tea kettle": ("kettle",), "water kettle": ("kettle",),
    "coffee machine": ("coffee machine", "espresso machine", "coffee maker"), "espresso maker": ("espresso machine",), "coffeemaker": ("coffee maker",), "dripper": ("coffee maker",), "coffee brewer": ("coffee maker",), "pour over": ("coffee maker",), "barista machine": ("espresso machine",),
    "coffee mill": ("coffee grinder",), "bean grinder": ("coffee grinder",), "burr grinder": ("coffee grinder",), "espresso": ("espresso machine", "espresso"),
    "telly": ("television",), "tv": ("television", "tv"), "notebook computer": ("laptop", "computer"), "laptop": ("laptop", "computer"), "pc": ("computer",), "cellphone": ("phone", "smartphone"), "mobile": ("phone", "smartphone"), "smartphone": ("smartphone", "phone"), "cell phone": ("phone",),
    "couch": ("sofas", "sofa"), "settee": ("sofas", "sofa"), "loveseat": ("sofas", "sofa"), "armchair": ("chairs", "chair"), "stool": ("chairs", "chair"), "seat": ("chairs", "chair"), "desk": ("tables", "desk", "table"), "dresser": ("dressers", "dresser"), "drawer": ("dressers", "dresser"),
    "light": ("lighting", "lamp"), "lamp": ("lighting", "lamp"), "lantern": ("lighting", "lamp"), "pillow": ("cushion", "pillow"), "timepiece": ("watch", "clock"), "wristwatch": ("watch",), "shade": ("glasses", "sunglasses"), "sunglass": ("glasses", "sunglasses"), "spectacle": ("glasses",), "eyewear": ("glasses",),
    "coat": ("jacket", "coat"), "parka": ("jacket",), "anorak": ("jacket",), "tee": ("shirt", "t-shirt"), "t shirt": ("t-shirt", "shirt"), "blouse": ("shirt", "blouse"), "sock": ("socks", "sock"), "shawl": ("scarf",), "necktie": ("tie",), "bangle": ("bracelet",), "pendant": ("necklace",), "earing": ("earrings",),
    "sweet": ("candy", "sweets"), "soft drink": ("soft drinks", "soda"), "pop": ("soft drinks", "soda"), "soda": ("soft drinks", "soda"), "crisp": ("potato chips", "chips"), "fizzy drink": ("soft drinks", "soda"), "biscuit": ("cookies", "biscuits"), "veg": ("vegetables",), "veggie": ("vegetables",), "fruit": ("fruits", "fruit"), "washing powder": ("laundry detergent",), "nappy": ("diapers",), "loo roll": ("toilet paper", "bath tissue"), "toilet paper": ("toilet paper", "bath tissue"), "kitchen roll": ("paper towels",), "mince": ("ground beef",), "prawn": ("shrimp",), "aubergine": ("eggplant",), "courgette": ("zucchini",), "porridge": ("oatmeal",), "ice lolly": ("popsicles",), "sparkling water": ("sparkling water", "seltzer"),
    "plant pot": ("plant", "planter"), "flower": ("flowers", "bouquet", "floral"), "houseplant": ("plant",), "guitar": ("strings", "guitar"), "piano": ("keys", "piano"), "drum": ("percussion", "drums"), "mic": ("microphone",), "keyboard instrument": ("keys",), "flute": ("wind", "flute"), "trumpet": ("wind", "trumpet"),
    "water resistant": ("waterproof", "water resistant"), "water proof": ("waterproof",), "rainproof": ("waterproof",), "weatherproof": ("waterproof",), "watertight": ("waterproof",), "water repellent": ("waterproof",), "watreproof": ("waterproof",),
    "cordless": ("wireless",), "bluetooth": ("bluetooth", "wireless"), "noise canceling": ("noise cancelling", "noise canceling"), "noise cancel": ("noise cancelling",), "noise canceler": ("noise cancelling",), "anc": ("noise cancelling",), "noise cancellation": ("noise cancelling",), "noise reduction": ("noise cancelling",), "noise reducing": ("noise cancelling",), "noise isolating": ("noise cancelling",),
    "bio": ("organic",), "eco": ("organic",), "caffeinated": ("caffeine",), "kid": ("kids", "children"), "child": ("kids", "children"), "son": ("kids", "children"), "daughter": ("kids", "children"), "toddler": ("kids", "children"), "boy": ("kids", "children"), "girl": ("kids", "children"), "junior": ("kids", "children"), "grown up": ("adult", "adults"), "adult": ("adult", "adults"),
    "dishwasher proof": ("dishwasher safe",), "dishwasher": ("dishwasher safe",), "navy": ("navy", "blue"), "beige": ("beige", "brown"), "crimson": ("red",), "scarlet": ("red",), "charcoal": ("gray", "grey", "black"), "silver": ("silver", "grey", "gray"), "rose": ("rose", "pink"), "turquoise": ("turquoise", "blue"), "stainless": ("stainless steel", "steel"), "stainless steel": ("stainless steel", "steel"), "metal": ("metal", "steel"), "suede": ("suede", "leather"), "real leather": ("leather",), "genuine leather": ("leather",), "ceramic": ("ceramic", "stoneware"), "pottery": ("stoneware", "ceramic"), "earthenware": ("stoneware",),
    "store brand": ("store brand", "private label"), "own brand": ("store brand", "private label"), "house brand": ("store brand", "private label"), "generic": ("store brand", "private label"), "private label": ("private label", "store brand"), "name brand": ("national brand", "national"), "national brand": ("national brand", "national"),
}  # fmt: skip
ANTONYMS: dict[str, tuple[str, ...]] = {
    "cable": ("wireless",), "cord": ("wireless",), "wire": ("wireless",),
    "wired": ("wireless",), "corded": ("wireless",), "cable bound": ("wireless",), "manual": ("electric",), "hand powered": ("electric",), "decaf": ("caffeine",),
    "decaffeinated": ("caffeine",), "uncaffeinated": ("caffeine",),
}  # fmt: skip
USES: dict[str, str] = {
    "jogging": "running", "jog": "running", "run": "running", "runner": "running", "marathon": "running", "trekking": "hiking", "trek": "hiking", "hike": "hiking", "hiker": "hiking", "mountaineering": "hiking",
    "workout": "sport", "exercise": "sport", "gym": "sport", "fitness": "sport", "training": "sport", "commuting": "city", "commute": "city", "urban": "city", "street": "city", "schoolchild": "school", "pupil": "school",
    "swim": "swimming", "pool": "beach", "seaside": "beach", "mixing": "mixing", "recording": "monitoring", "camp": "camping", "espresso": "espresso", "cappuccino": "espresso", "latte": "espresso",
}  # fmt: skip
VERBS: dict[str, tuple[str, ...]] = {
    # "something to ... with": what does it
    "grind": ("grinder", "coffee grinder"), "boil": ("kettle",), "brew": ("coffee maker", "brewer"), "listen": ("headphones", "earbuds"), "carry": ("bag", "bags", "backpack"), "drink": ("mug", "cup"), "sip": ("mug", "cup"), "sleep": ("sleeping bag", "bed", "pillow"),
    "cut": ("knife", "scissors", "saw"), "chop": ("knife",), "write": ("pen",), "sit": ("chair", "chairs", "sofa"), "wear": ("shirt", "jacket"), "cook": ("pan", "pot"), "wash": ("detergent", "soap"), "clean": ("cleaner", "detergent"), "dry": ("towel", "dryer"),
    "tell": ("watch", "clock"), "hammer": ("hammer",), "drill": ("drill",), "walk": ("shoes", "boots"), "photograph": ("camera",), "play": ("game", "toy"), "light": ("lamp", "lighting"), "shave": ("razor",), "toast": ("toaster",), "bake": ("oven", "flour"), "store": ("box", "container"), "hang": ("hanger",),
}  # fmt: skip
OPTION_NAMES = frozenset(
    {
        "color",
        "colour",
        "size",
        "pack",
        "flavour",
        "flavor",
        "scent",
        "width",
        "length",
        "storage",
        "style",
        "capacity",
    }
)
COLOR_WORDS = frozenset(
    "black white red blue green gray pink brown yellow orange purple silver gold beige navy turquoise teal violet cream ivory maroon khaki olive tan bronze multicolor".split()
)
PEOPLE_OPTIONS = {
    "small": "S",
    "medium": "M",
    "large": "L",
    "extra large": "XL",
    "extra small": "XS",
}
UNIT_WORDS: dict[str, tuple[str, ...]] = {
    "hours": ("hour", "hr", "h"), "h": ("hour", "hr", "h"), "minutes": ("minute", "min"), "g": ("g", "gram", "gr"), "kg": ("kg", "kilogram", "kilo"),
    "l": ("l", "liter", "litre", "ltr"), "ml": ("ml", "milliliter"), "inch": ("inch", "in", "\""), "inches": ("inch", "in"), "cm": ("cm", "centimeter", "centimetre"), "mm": ("mm",),
    "w": ("w", "watt"), "watts": ("w", "watt"), "gb": ("gb", "gig"), "tb": ("tb",), "oz": ("oz", "ounce"), "cups": ("cup",), "pages": ("page",), "mah": ("mah",), "mp": ("mp", "megapixel"), "lb": ("lb", "pound"), "persons": ("person", "people"), "people": ("person", "people"), "months": ("month",), "years": ("year",), "bar": ("bar",), "m": ("meter", "metre", "m"),
}  # fmt: skip
SUPERLATIVES: dict[str, tuple[str, str]] = {
    # word -> (stem that an attribute's name holds, direction)
    "lightest": ("weight", "low"), "lighter": ("weight", "low"), "heaviest": ("weight", "high"), "heavier": ("weight", "high"),
    "longest battery": ("battery", "high"), "longer battery": ("battery", "high"), "best battery": ("battery", "high"), "more battery": ("battery", "high"), "better battery": ("battery", "high"), "most battery": ("battery", "high"), "lasts longer": ("battery", "high"), "lasts longest": ("battery", "high"), "last longer": ("battery", "high"), "last longest": ("battery", "high"), "longest lasting": ("battery", "high"), "battery lasts": ("battery", "high"), "battery life": ("battery", "high"), "shorter battery": ("battery", "low"), "stronger battery": ("battery", "high"), "bigger battery": ("battery", "high"),
    "biggest": ("volume|capacity|screen|size|storage", "high"), "bigger": ("volume|capacity|screen|storage", "high"), "largest": ("volume|capacity|screen|storage", "high"), "larger": ("volume|capacity|screen|storage", "high"), "roomier": ("volume|capacity", "high"), "roomiest": ("volume|capacity", "high"), "more space": ("volume|capacity|storage", "high"), "most space": ("volume|capacity|storage", "high"), "more room": ("volume|capacity", "high"), "holds more": ("volume|capacity", "high"), "holds the most": ("volume|capacity", "high"), "smallest": ("volume|capacity|screen", "low"), "smaller": ("volume|capacity|screen", "low"),
    "most powerful": ("power|watt", "high"), "more powerful": ("power|watt", "high"), "strongest": ("power|watt", "high"), "longest": ("length|battery", "high"), "shortest": ("length", "low"), "tallest": ("height", "high"), "taller": ("height", "high"),
}  # fmt: skip
STOPWORDS = frozenset(
    """a an the and or but of to in on at for from with by as is are was were be been being am do does did doing done have has had having i me my mine we us our you your yours he she it its they them
    their this that these those there here what which who whom whose when where why how all any both each few more most other some such no nor not only own same so than too very can could will would shall
    should may might must just also about into over under again then once please thanks thank hello hi hey ok okay yes yeah yep sure well now today show find search look looking see need want wanted like
    give get got buy buying purchase shop shopping something anything thing things stuff item items product products one ones ones' kind sort type option options suggestion suggestions recommend recommendation
    recommendations recommended suggest suggested help interested interest searching hunting after pick choose chosen selection select available sell sells selling sold stock carry offer offers list let lets
    let's us go going make made making good great nice best better decent quality high low cheap cheaper cheapest affordable inexpensive budget price priced prices cost costs costing money euro euros dollar dollars eur usd
    gbp cny jpy expensive pricey reasonable reasonably maximum minimum max min most least less fewer up down out off till until between around roughly approximately instead rather actually really quite maybe
    perhaps probably possibly sorry oops wait hmm um uh eh mean meant say said tell told know think thought if because since while although though however still yet already even ever never always usually often
    sometimes new old first second third fourth fifth last next previous another else different similar same alternative alternatives everything nothing someone somebody anyone anybody everyone person people
    friend wife husband mom mum dad mother father partner girlfriend boyfriend brother sister gift present birthday christmas use using used wear wearing worn comes come coming fit fits fitting suitable
    should've i'm i'd i'll i've im id ill ive you're we're it's that's don't doesn't didn't can't won't wouldn't couldn't isn't aren't wasn't what's there's where's who's how's needs wants looks seems prefer preferably
    preferable ideally around under below above within per each pair couple few lot lots bit little much many star stars rated rating ratings review reviews customer customers sale deal deals discount discounts discounted
    promotion promotions promo special basket cart add put remove delete drop take checkout order orders wishlist compare comparison versus vs difference details detail information info describe specs color colors
    colour colours coloured colored size sizes sized brand brands material materials feature features life ago day days week month year time times way ways got getting keep kept try trying right left top bottom
    side back front end start any anyone mind matter matters fine cool awesome perfect sounds sound good-looking pls plz kindly quick quickly fast asap hand range currency total sum together altogether
    bundle set outfit kit complete goes go along match matching matches filter filters constraint limit requirement results result page more shown showing display sorted sort by ascending descending order
    usual usually regular normally browse browsing idea ideas clue decide choice instead without except excluding besides anything's me's everyday daily home house place room work fan lover who's whom cheers morning afternoon evening night there greetings""".split()
)
COMMON_WORDS = STOPWORDS | frozenset(
    """running hiking walking travel office school gym sport sports beach city street outdoor indoor winter summer spring autumn rain snow water light heavy warm cold hot soft hard small large big
    long short wide thin thick fresh frozen dry sweet salty milk bread cheese butter egg eggs meat fish chicken beef pork rice pasta soup salad juice coffee tea beer wine fruit apple banana orange chocolate
    candy cookie cake snack breakfast lunch dinner phone laptop tablet camera watch drone bicycle bike car toy game book shirt shorts jacket coat dress skirt pants jeans hat cap gloves socks belt scarf ring
    necklace lamp chair table desk sofa bed pillow blanket towel soap shampoo brush knife fork spoon plate bowl glass bottle pan pot oven fridge freezer guitar piano drum violin tent yoga mat ball racket
    skateboard surfboard helmet dog cat baby men women kids boy girl adult music movie weather poem joke story recipe news stock president capital translate code python window washing machine vacuum hair
    wallpaper paint hammer drill saw flower plant garden grass seed tree stone wood metal plastic paper cotton wool silk leather rubber glass umbrella wallet sunglasses perfume razor toothbrush""".split()
)
