"""Where labeled features sit in the landscape, and a survey of a problem's critical points."""

from mcr2_landscape.analysis.features import analyze_features as analyze_features
from mcr2_landscape.analysis.listing import CatalogListing as CatalogListing
from mcr2_landscape.analysis.listing import ListedFamily as ListedFamily
from mcr2_landscape.analysis.listing import list_catalog as list_catalog
from mcr2_landscape.analysis.results import ClassSummary as ClassSummary
from mcr2_landscape.analysis.results import FeatureAnalysis as FeatureAnalysis
from mcr2_landscape.analysis.surveys import SurveyResult as SurveyResult
from mcr2_landscape.analysis.surveys import survey as survey
