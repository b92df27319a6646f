"""The words that are single tokens of `nano`; other text is spelled out.

The order is part of the model: append, never insert, or the weights must be trained again.
"""

from __future__ import annotations

SIZES = ("small", "medium", "large")
COLORS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal", "glass")
SHAPES = ("cube", "sphere", "cylinder")
VEHICLES = ("car", "bus", "bicycle", "motorbike", "aeroplane")
PLURALS = {
    "cube": "cubes",
    "sphere": "spheres",
    "cylinder": "cylinders",
    "car": "cars",
    "bus": "buses",
    "bicycle": "bicycles",
    "motorbike": "motorbikes",
    "aeroplane": "aeroplanes",
    "thing": "things",
    "object": "objects",
    "item": "items",
    "vehicle": "vehicles",
}
NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
PUNCTUATION = tuple(".,;:!?+-=*/()[]{}<>\"'|_#%&$@^~`\\")
BIGGEST_NUMBER = 360  # the largest integer that is one token: counts, degrees, most sums
BIGGEST_GLUED = 30  # the same without a space before it, as in "(3"

_VARIANTS = (
    "sedan suv wagon minivan truck articulated double regular school utility tandem road "
    "mountain chopper scooter cruiser dirtbike airliner biplane jet fighter"
)
_NAMES = (
    "gray grey red blue green brown purple cyan yellow black white orange pink golden silver "
    "dark light bright shiny matte metallic plastic wooden small medium large big tiny huge "
    "little great rubber metal glass cube cubes block blocks sphere spheres ball balls cylinder "
    "cylinders cone circle square triangle rectangle line angle point length width height side "
    "area car cars bus buses bicycle bicycles bike bikes motorbike motorbikes motorcycle "
    "aeroplane aeroplanes airplane plane planes vehicle vehicles object objects thing things "
    "item items shape shapes size sizes color colors colour colours material materials kind "
    "kinds type types name names attribute attributes property properties"
)
_COUNTING = (
    "how many much number numbers count counts counted counting total totals sum difference "
    "amount add adds added adding addition plus more subtract subtracts subtracted subtracting "
    "subtraction minus remove removes removed removing take takes taken taking away put puts "
    "bring brings brought leave leaves leaving left remain remains remaining rest still stay "
    "stays stayed gone keep keeps kept none no not nothing zero any all every each some most "
    "few fewer less least same different equal equals greater smaller larger bigger than "
    "exactly only also both either neither or and but if then else except without besides other "
    "others another again once twice pair half first second third fourth fifth sixth seventh "
    "eighth ninth tenth last next previous before after start starts started begin begins end "
    "ends finish result results running so far times time digit even odd"
)
_SPACE = (
    "left leftmost right rightmost middle center centre top bottom front behind back above "
    "below under over near nearest far furthest farthest closest beside between next from to in "
    "on at of into onto off out up down side row order position positions place placed move "
    "moved moves turn turned direction here there where inside outside around across along "
    "toward corner edge"
)
_TALK = (
    "a an the this that these those it its they them their he she his her we you your i me my "
    "our us is are was were be been being am do does did done doing have has had having can "
    "could will would shall should may might must need needs let lets get gets got make makes "
    "made give gives given go goes went come comes see sees seen saw look looks looked looking "
    "show shows shown showing shown find finds found tell tells told say says said ask asks "
    "asked answer answers answered question questions name named list lists listed listing "
    "write writes written writing read reads describe describes described description mention "
    "mentions mentioned call called use uses used using choose pick select sort sorted group "
    "match matches matching fit fits contain contains contained include includes including "
    "exclude excluding ignore skip drop hold holds check compare think reason reasoning solve "
    "work works explain step steps follow following rule rules know imagine suppose consider "
    "assume please yes no true false correct wrong right what which who whose when why whether "
    "as like such with for by about per via because since while until during through very too "
    "just now today soon always never often maybe perhaps together alone apart already yet one "
    "ones own self something anything everything nobody somebody everyone else than then"
)
_PICTURE = (
    "image images picture pictures photo scene scenes view views camera diagram figure floor "
    "ground table room box bag shelf desk basket garage street park shop parking lot city toy "
    "toys apple apples book books cup cups coin coins pen pens bird birds cat cats dog dogs "
    "tree trees house houses person people child children boy girl man woman friend friends "
    "anna ben carla david emma word words letter letters text sentence sentences line lines "
    "short brief long full whole part parts complete single simple detail details form format "
    "style separate separated comma commas semicolon space spaces new old quick quickly careful "
    "carefully closely exact final finally inner outer visible hidden present absent available "
    "following shown given above integer value values whole decimal option options choice "
    "choices letter example examples task problem data note notes mark marks marked tag tags "
    "block"
)
_ACTIONS = (
    "change changes changed changing color size shape material position add swap swapped "
    "replace replaced original initial state states transformation transformations sequence "
    "function functions become becomes became increase decrease grow shrink day week year water "
    "food play run walk buy bought sell sold eat eaten lose lost win won drive drives drove "
    "park parks parked arrive arrives arrived enter enters entered join joins joined join stand "
    "stands standing lie lies sit sits roll rolls rolled fall falls break broke broken open "
    "close closed hide hides set sets clear free empty full enough extra own real good bad best "
    "better nice well sure fine ready easy hard high low fast slow early late hot cold warm "
    "numbered care briefly starting delete deleted cross crossed backwards forwards"
)
_GEOMETRY = (
    "angles sides triangles rectangles squares circles points lengths degree degrees parallel "
    "radius radii diameter circumference perimeter polygon quadrilateral pentagon trapezium "
    "directions tangent arc sector chord vertex vertices diagonal straight interior exterior "
    "opposite adjacent alternate corresponding similar half halves double doubled product times "
    "divided multiply multiplied divide pi root rounded round decimals meets meet joins joined "
    "marked labelled diagrams drawn drawing measure measures minus equals long tall"
)
_CALLS = "call calls argument arguments towards away forward backward unchanged remained"
# Parts of a name in a program, written after "_": "change_size", "front_left".
JOINED = (
    "size",
    "color",
    "colour",
    "material",
    "shape",
    "position",
    "left",
    "right",
    "front",
    "behind",
    "back",
    "up",
    "down",
    "name",
    "number",
    "count",
    "type",
    "id",
    "x",
    "y",
)


def vocabulary() -> tuple[str, ...]:
    """Each word once, in lower case, in a fixed order."""
    groups = _NAMES, _COUNTING, _SPACE, _TALK, _PICTURE, _ACTIONS, _VARIANTS, _GEOMETRY, _CALLS
    text = " ".join(groups)
    return tuple(dict.fromkeys([*text.split(), *NUMBERS]))
