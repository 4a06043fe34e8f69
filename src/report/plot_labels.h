// Places the labels of a plot's points.
#pragma once

#include "report/plot.h"

namespace expunge {

/// Places each label of a scatter plot at a side of its point where it covers no point and no other label. A label without such
/// a side joins the nearest one: "R2 +3" for R2 and three more. Widths and heights are estimates of the drawing of
/// gnuplot_script() for a plot from_zero.
void place_labels(Curve& curve);

}  // namespace expunge
